<?php
/**
 * What an administrator does at the console: `php console.php WORDPRESS install|activate|sites|page|uninstall`.
 *
 * @package Lifecycle_Relay
 */

// phpcs:disable -- A harness.

$_SERVER['HTTP_HOST']       = getenv( 'NETWORK_HOST' );
$_SERVER['REQUEST_URI']     = '/';
$_SERVER['SERVER_PROTOCOL'] = 'HTTP/1.1';
list( , $wordpress, $what ) = $argv;
if ( 'install' === $what ) {
	define( 'WP_INSTALLING', true );
}
require "{$wordpress}/wp-load.php";
require_once ABSPATH . 'wp-admin/includes/admin.php';
$plugin = 'lifecycle-relay/lifecycle-relay.php';
switch ( $what ) {
	case 'install':
		require_once ABSPATH . 'wp-admin/includes/upgrade.php';
		require_once ABSPATH . 'wp-admin/includes/network.php';
		add_filter( 'pre_wp_mail', '__return_true' );
		wp_install( 'Network', 'admin', 'admin@network.example', true, '', 'password' );
		foreach ( $wpdb->tables( 'ms_global' ) as $name => $table ) {
			$wpdb->$name = $table;
		}
		install_network();
		$done = populate_network( 1, getenv( 'NETWORK_HOST' ), 'admin@network.example', 'Network', '/', false );
		echo is_wp_error( $done ) && 'no_wildcard_dns' !== $done->get_error_code() ? $done->get_error_message() : 'installed';
		break;
	case 'activate':
		$done = activate_plugin( $plugin, '', true );
		echo is_wp_error( $done ) ? $done->get_error_message() : 'activated';
		break;
	case 'sites':
		foreach ( array( 'second', 'third' ) as $name ) {
			$made = wp_insert_site( array( 'domain' => getenv( 'NETWORK_HOST' ), 'path' => "/{$name}/", 'title' => $name, 'user_id' => 1 ) );
			echo is_wp_error( $made ) ? $made->get_error_message() : "{$made} ";
		}
		break;
	case 'page':
		wp_set_current_user( 1 );
		do_action( 'network_admin_menu' );
		do_action( get_plugin_page_hookname( 'lifecycle-relay', 'settings.php' ) );
		break;
	case 'uninstall':
		deactivate_plugins( $plugin, false, true );
		uninstall_plugin( $plugin );
		echo 'uninstalled';
}
