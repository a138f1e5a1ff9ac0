<?php
/**
 * The configuration of a network of WordPress's own code, for tests: everything comes from the
 * environment.
 *
 * @package Lifecycle_Relay
 */

// phpcs:disable -- A harness.

define( 'DB_NAME', 'wordpress' );
define( 'DB_USER', 'root' );
define( 'DB_PASSWORD', '' );
define( 'DB_HOST', 'localhost:' . getenv( 'NETWORK_DATABASE' ) );
define( 'DB_CHARSET', 'utf8mb4' );
define( 'DB_COLLATE', '' );
define( 'WP_CONTENT_DIR', getenv( 'NETWORK_CONTENT' ) );
define( 'WP_DEBUG', true );
define( 'WP_DEBUG_DISPLAY', false );
define( 'WP_DEBUG_LOG', getenv( 'NETWORK_CONTENT' ) . '/debug.log' );
define( 'DISALLOW_FILE_MODS', true );
// In life, WP-Cron runs again after a minute.
define( 'WP_CRON_LOCK_TIMEOUT', 1 );
define( 'AUTOMATIC_UPDATER_DISABLED', true );
define( 'LIFECYCLE_RELAY_URL', getenv( 'NETWORK_RELAY_URL' ) );
define( 'LIFECYCLE_RELAY_SECRET', getenv( 'NETWORK_RELAY_SECRET' ) );
foreach ( array( 'AUTH_KEY', 'SECURE_AUTH_KEY', 'LOGGED_IN_KEY', 'NONCE_KEY', 'AUTH_SALT', 'SECURE_AUTH_SALT', 'LOGGED_IN_SALT', 'NONCE_SALT' ) as $name ) {
	define( $name, "{$name} of a test" );
}
if ( ! getenv( 'NETWORK_IS_NEW' ) ) {
	define( 'MULTISITE', true );
	define( 'SUBDOMAIN_INSTALL', false );
	define( 'DOMAIN_CURRENT_SITE', getenv( 'NETWORK_HOST' ) );
	define( 'PATH_CURRENT_SITE', '/' );
	define( 'SITE_ID_CURRENT_SITE', 1 );
	define( 'BLOG_ID_CURRENT_SITE', 1 );
}
$table_prefix = 'wp_';
if ( ! defined( 'ABSPATH' ) ) {
	define( 'ABSPATH', __DIR__ . '/' );
}
require_once ABSPATH . 'wp-settings.php';
