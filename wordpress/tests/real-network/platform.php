<?php
/**
 * A must-use plugin in the place of Ultimate Multisite: its objects, and a request that plays a
 * scenario in which its hooks fire.
 *
 * @package Lifecycle_Relay
 */

// phpcs:disable -- A harness.

require getenv( 'NETWORK_STANDINS' ) . '/ultimate-multisite.php';
require getenv( 'NETWORK_STANDINS' ) . '/play.php';

add_action(
	'init',
	function () {
		if ( isset( $_GET['scenario'] ) ) {
			$scenario = json_decode( file_get_contents( $_GET['scenario'] ), true );
			stand_in( $scenario['objects'] ?? array() );
			play( $scenario['steps'] );
			exit( 'thank you' );
		}
	},
	100
);
