<?php
/**
 * Stand-ins for the functions of Action Scheduler that the plugin calls.
 *
 * The queue is a table of the stand-in's database: `at` is 0 for an action to be done at once.
 *
 * @package Lifecycle_Relay
 */

// phpcs:disable -- Stand-ins have Action Scheduler's own names.

$wpdb->query( 'CREATE TABLE IF NOT EXISTS actions (id INTEGER PRIMARY KEY, hook TEXT, at INTEGER)' );

function as_enqueue_async_action( $hook, $arguments = array(), $group = '' ) {
	return as_schedule_single_action( 0, $hook, $arguments, $group );
}
function as_schedule_single_action( $at, $hook, $arguments = array(), $group = '' ) {
	global $wpdb;
	$wpdb->insert( 'actions', array( 'hook' => $hook, 'at' => $at ) );
	return $wpdb->insert_id;
}
/** A time for an action that waits for it, true for one that is to be done at once, or false. */
function as_next_scheduled_action( $hook, $arguments = null, $group = '' ) {
	global $wpdb;
	$at = $wpdb->get_var( $wpdb->prepare( 'SELECT MIN(at) FROM actions WHERE hook = %s', $hook ) );
	return null === $at ? false : ( 0 === (int) $at ? true : (int) $at );
}
function as_unschedule_all_actions( $hook ) {
	global $wpdb;
	$wpdb->query( $wpdb->prepare( 'DELETE FROM actions WHERE hook = %s', $hook ) );
}

/** What a runner does: takes every action that is due, and does it. */
function standin_run_actions() {
	global $wpdb;
	foreach ( $wpdb->get_results( $wpdb->prepare( 'SELECT id, hook FROM actions WHERE at <= %d ORDER BY id', time() ) ) as $action ) {
		if ( $wpdb->query( $wpdb->prepare( 'DELETE FROM actions WHERE id = %d', $action->id ) ) ) {
			do_action( $action->hook );
		}
	}
}
