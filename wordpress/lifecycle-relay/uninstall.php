<?php
/**
 * Removes everything the plugin stored.
 *
 * @package Lifecycle_Relay
 */

defined( 'WP_UNINSTALL_PLUGIN' ) || exit;

global $wpdb;

// phpcs:disable WordPress.DB.DirectDatabaseQuery, WordPress.DB.PreparedSQL.InterpolatedNotPrepared -- Own table and own meta keys.
$wpdb->query( "DROP TABLE IF EXISTS {$wpdb->base_prefix}lifecycle_relay_outbox" );
foreach ( array( 'customer', 'membership' ) as $lifecycle_relay_kind ) {
	$lifecycle_relay_table = "{$wpdb->base_prefix}wu_{$lifecycle_relay_kind}meta";
	if ( $wpdb->get_var( $wpdb->prepare( 'SHOW TABLES LIKE %s', $wpdb->esc_like( $lifecycle_relay_table ) ) ) ) {
		$wpdb->query( "DELETE FROM {$lifecycle_relay_table} WHERE meta_key IN ('lifecycle_relay_context', 'lifecycle_relay_plan_id')" );
	}
}
// phpcs:enable

foreach ( array( 'settings', 'outbox_version', 'dropped', 'last_error' ) as $lifecycle_relay_option ) {
	delete_site_option( "lifecycle_relay_{$lifecycle_relay_option}" );
}
wp_unschedule_hook( 'lifecycle_relay_send' );
if ( function_exists( 'as_unschedule_all_actions' ) ) {
	as_unschedule_all_actions( 'lifecycle_relay_send' );
}
