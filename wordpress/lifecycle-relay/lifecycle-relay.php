<?php
/**
 * Plugin Name:       Lifecycle Relay for Ultimate Multisite
 * Description:       Sends customers, checkouts, memberships, payments, sites and domains of an Ultimate Multisite network to a Lifecycle Relay. Never slows a checkout, never loses an event.
 * Version:           1.0.0
 * Requires at least: 5.3
 * Requires PHP:      7.4
 * License:           GPL-2.0-or-later
 * License URI:       https://www.gnu.org/licenses/gpl-2.0.html
 * Text Domain:       lifecycle-relay
 * Domain Path:       /languages
 * Network:           true
 *
 * @package Lifecycle_Relay
 */

/*
 * This program is free software; you can redistribute it and/or modify it under the terms of the
 * GNU General Public License as published by the Free Software Foundation; either version 2 of the
 * License, or (at your option) any later version.
 */

defined( 'ABSPATH' ) || exit;

define( 'LIFECYCLE_RELAY_VERSION', '1.0.0' );

require_once __DIR__ . '/includes/class-lifecycle-relay-settings.php';
require_once __DIR__ . '/includes/class-lifecycle-relay-values.php';
require_once __DIR__ . '/includes/class-lifecycle-relay-serializer.php';
require_once __DIR__ . '/includes/class-lifecycle-relay-consent-context.php';
require_once __DIR__ . '/includes/class-lifecycle-relay-outbox.php';
require_once __DIR__ . '/includes/class-lifecycle-relay-sender.php';
require_once __DIR__ . '/includes/class-lifecycle-relay-schedule.php';
require_once __DIR__ . '/includes/class-lifecycle-relay-recorder.php';
require_once __DIR__ . '/includes/class-lifecycle-relay-loop-guard.php';
require_once __DIR__ . '/includes/class-lifecycle-relay-hooks.php';
require_once __DIR__ . '/includes/class-lifecycle-relay-admin-page.php';
require_once __DIR__ . '/includes/class-lifecycle-relay-status.php';

/**
 * Builds the plugin's parts and puts them on their hooks.
 */
function lifecycle_relay_start() {
	$settings   = new Lifecycle_Relay_Settings();
	$outbox     = new Lifecycle_Relay_Outbox();
	$serializer = new Lifecycle_Relay_Serializer();
	$context    = new Lifecycle_Relay_Consent_Context( $settings );
	$sender     = new Lifecycle_Relay_Sender( $outbox, $settings );
	$recorder   = new Lifecycle_Relay_Recorder( $outbox, $context );
	$guard      = new Lifecycle_Relay_Loop_Guard();
	$schedule   = new Lifecycle_Relay_Schedule( $sender, $outbox, $recorder );

	$outbox->install();
	$guard->register();
	$schedule->register();
	( new Lifecycle_Relay_Hooks( $recorder, $serializer, $context, $guard ) )->register();
	( new Lifecycle_Relay_Admin_Page( $settings, $outbox, $sender, $recorder ) )->register();
	( new Lifecycle_Relay_Status( $settings ) )->register();
}

/**
 * Loads the translations of the admin page.
 */
function lifecycle_relay_translate() {
	load_plugin_textdomain( 'lifecycle-relay', false, basename( __DIR__ ) . '/languages' );
}

add_action( 'plugins_loaded', 'lifecycle_relay_start' );
add_action( 'init', 'lifecycle_relay_translate' );
