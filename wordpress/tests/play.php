<?php
/**
 * Plays the steps of a scenario: objects, hooks, REST requests, the admin page.
 *
 * @package Lifecycle_Relay
 */

// phpcs:disable -- A harness.

function stand_in( array $objects ) {
	foreach ( $objects as $kind => $entities ) {
		foreach ( $entities as $id => $data ) {
			$class = 'Standin_' . ucfirst( $kind );
			$GLOBALS['standin_objects'][ $kind ][ (string) $id ] = new $class( $data );
		}
	}
}

function argument( $value ) {
	if ( ! is_array( $value ) || ! isset( $value['$'] ) ) {
		return $value;
	}
	return 'gateway' === $value['$'] ? new Standin_Gateway( $value['id'] ) : ( standin_object( $value['$'], $value['id'] ) ?: new stdClass() );
}

function play( array $steps ) {
	foreach ( $steps as $step ) {
		switch ( $step[0] ) {
			case 'do':
				do_action( $step[1], ...array_map( 'argument', $step[2] ) );
				break;
			case 'set':
				standin_object( $step[1], $step[2] )->set( $step[3] );
				break;
			case 'actions':
				standin_run_actions();
				break;
			case 'objects':
				stand_in( $step[1] );
				break;
			case 'respond':
				do_action( 'shutdown' );
				break;
			case 'rest':
				$request = new WP_REST_Request( $step[1] );
				apply_filters( 'rest_request_before_callbacks', null, array(), $request );
				play( $step[2] );
				apply_filters( 'rest_request_after_callbacks', null, array(), $request );
				break;
			case 'ask':
				do_action( 'rest_api_init' );
				$route = $GLOBALS['standin_routes'][ $step[1] ] ?? null;
				$may   = $route && call_user_func( $route['permission_callback'] );
				echo json_encode( $may ? call_user_func( $route['callback'] ) : null );
				break;
			case 'page':
				do_action( 'network_admin_menu' );
				call_user_func( $GLOBALS['standin_page'] );
				break;
			case 'uninstall':
				define( 'WP_UNINSTALL_PLUGIN', 'lifecycle-relay/lifecycle-relay.php' );
				require dirname( __DIR__ ) . '/lifecycle-relay/uninstall.php';
				break;
			case 'say':
				echo $step[1];
				break;
			case 'die':
				posix_kill( posix_getpid(), 9 );
		}
	}
}
