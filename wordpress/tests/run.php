<?php
/**
 * Plays a request to WordPress: `php run.php scenario.json`.
 *
 * The scenario has `database`, the objects, constants, cookies, and `steps`: what happens, in
 * order. Shutdown runs at the end, as it does after a fatal error, but not after SIGKILL.
 *
 * @package Lifecycle_Relay
 */

// phpcs:disable -- A harness.

$scenario = json_decode( file_get_contents( $argv[1] ), true );
require __DIR__ . '/wordpress.php';
require __DIR__ . '/ultimate-multisite.php';

$wpdb = new Standin_WPDB( $scenario['database'] );
foreach ( $scenario['constants'] ?? array() as $name => $value ) {
	define( $name, $value );
}
foreach ( $scenario['objects'] ?? array() as $kind => $entities ) {
	foreach ( $entities as $id => $data ) {
		$class = 'Standin_' . ucfirst( $kind );
		$standin_objects[ $kind ][ (string) $id ] = new $class( $data );
	}
}
$_COOKIE = $scenario['cookies'] ?? array();
$_POST   = $scenario['post'] ?? array();
if ( isset( $scenario['user_agent'] ) ) {
	$_SERVER['HTTP_USER_AGENT'] = $scenario['user_agent'];
}
if ( isset( $scenario['consent'] ) ) {
	function wp_has_consent( $purpose ) {
		return ! empty( $GLOBALS['scenario']['consent'][ $purpose ] );
	}
}
if ( ! empty( $scenario['fastcgi'] ) ) {
	function fastcgi_finish_request() {
		echo "\nresponse finished\n";
		return true;
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
			case 'rest':
				$request = new WP_REST_Request( $step[1] );
				apply_filters( 'rest_request_before_callbacks', null, array(), $request );
				play( $step[2] );
				apply_filters( 'rest_request_after_callbacks', null, array(), $request );
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

require dirname( __DIR__ ) . '/lifecycle-relay/lifecycle-relay.php';
register_shutdown_function( 'do_action', 'shutdown' );
do_action( 'plugins_loaded' );
do_action( 'init' );
play( $scenario['steps'] );
