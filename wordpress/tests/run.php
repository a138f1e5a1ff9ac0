<?php
/**
 * Plays a request to WordPress: `php run.php scenario.json`, or behind `php -S` as the request
 * `/?scenario=scenario.json` of a web server that cannot end a response early.
 *
 * The scenario has `database`, the objects, constants, cookies, and `steps`: what happens, in
 * order. Shutdown runs at the end, as it does after a fatal error, but not after SIGKILL.
 *
 * @package Lifecycle_Relay
 */

// phpcs:disable -- A harness.

$scenario = json_decode( file_get_contents( $argv[1] ?? $_GET['scenario'] ), true );
require __DIR__ . '/wordpress.php';
require __DIR__ . '/ultimate-multisite.php';
require __DIR__ . '/play.php';

$wpdb = new Standin_WPDB( $scenario['database'] );
foreach ( $scenario['constants'] ?? array() as $name => $value ) {
	define( $name, $value );
}
stand_in( $scenario['objects'] ?? array() );
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
if ( ! empty( $scenario['action_scheduler'] ) ) {
	require __DIR__ . '/action-scheduler.php';
}
if ( ! empty( $scenario['fastcgi'] ) ) {
	function fastcgi_finish_request() {
		echo "\nresponse finished\n";
		return true;
	}
}

require dirname( __DIR__ ) . '/lifecycle-relay/lifecycle-relay.php';
register_shutdown_function( 'do_action', 'shutdown' );
do_action( 'plugins_loaded' );
do_action( 'init' );
play( $scenario['steps'] );
