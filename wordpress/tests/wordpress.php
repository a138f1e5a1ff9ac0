<?php
/**
 * Stand-ins for the WordPress functions that the plugin calls: real hooks, a real database
 * (SQLite), real HTTP.
 *
 * @package Lifecycle_Relay
 */

// phpcs:disable -- Stand-ins have WordPress's own names.

define( 'ABSPATH', __DIR__ . '/core/' );
define( 'MINUTE_IN_SECONDS', 60 );
define( 'DAY_IN_SECONDS', 86400 );

class Standin_WPDB {
	public $base_prefix = 'wp_';
	public $insert_id   = 0;
	public $pdo;

	public function __construct( $path ) {
		$this->pdo = new PDO( "sqlite:{$path}" );
		$this->pdo->setAttribute( PDO::ATTR_ERRMODE, PDO::ERRMODE_EXCEPTION );
		$this->pdo->exec( 'PRAGMA busy_timeout = 10000' );
		$this->pdo->exec( 'CREATE TABLE IF NOT EXISTS options (name TEXT PRIMARY KEY, value TEXT)' );
	}

	public function get_charset_collate() {
		return 'DEFAULT CHARACTER SET utf8mb4';
	}

	public function esc_like( $text ) {
		return addcslashes( $text, '_%\\' );
	}

	public function prepare( $sql, ...$values ) {
		$values = 1 === count( $values ) && is_array( $values[0] ) ? $values[0] : $values;
		return preg_replace_callback(
			'/%[sd]/',
			function ( $found ) use ( &$values ) {
				$value = array_shift( $values );
				return '%d' === $found[0] ? (string) (int) $value : $this->pdo->quote( (string) $value );
			},
			$sql
		);
	}

	public function query( $sql ) {
		return $this->pdo->exec( $sql );
	}

	public function insert( $table, array $row ) {
		$names = implode( ',', array_keys( $row ) );
		try {
			$done = $this->pdo->prepare( "INSERT INTO {$table} ({$names}) VALUES (" . implode( ',', array_fill( 0, count( $row ), '?' ) ) . ')' )->execute( array_values( $row ) );
		} catch ( PDOException $error ) {
			return false;
		}
		$this->insert_id = (int) $this->pdo->lastInsertId();
		return $done ? 1 : false;
	}

	public function get_results( $sql ) {
		return $this->pdo->query( $sql )->fetchAll( PDO::FETCH_OBJ );
	}

	public function get_row( $sql ) {
		$rows = $this->get_results( $sql );
		return $rows ? $rows[0] : null;
	}

	public function get_var( $sql ) {
		if ( preg_match( "/^SHOW TABLES LIKE '(.+)'/", $sql, $found ) ) {
			$sql = "SELECT name FROM sqlite_master WHERE name = '" . stripslashes( $found[1] ) . "'";
		}
		$row = $this->pdo->query( $sql )->fetch( PDO::FETCH_NUM );
		return $row ? $row[0] : null;
	}
}

function dbDelta( $sql ) {
	global $wpdb;
	$sql = preg_replace( '/bigint\(20\) unsigned NOT NULL auto_increment/', 'INTEGER NOT NULL', $sql );
	$sql = str_replace( ' unsigned', '', $sql );
	$sql = preg_replace( '/UNIQUE KEY \w+ (\(.+\))/', 'UNIQUE $1', $sql );
	$sql = preg_replace( '/,\s*KEY \w+ \(.+\)/', '', $sql );
	$wpdb->query( str_replace( array( 'CREATE TABLE', 'DEFAULT CHARACTER SET utf8mb4' ), array( 'CREATE TABLE IF NOT EXISTS', '' ), $sql ) );
}

class WP_Error {
	private $message;
	public function __construct( $code, $message ) {
		$this->message = $message;
	}
	public function get_error_message() {
		return $this->message;
	}
}

class WP_REST_Request {
	private $parts;
	public function __construct( array $parts ) {
		$this->parts = $parts;
	}
	public function get_method() {
		return $this->parts['method'];
	}
	public function get_route() {
		return $this->parts['route'];
	}
	public function get_json_params() {
		return $this->parts['json'];
	}
	public function get_query_params() {
		return array();
	}
	public function get_body_params() {
		return array();
	}
}

$standin_hooks = array();

function add_filter( $hook, $callback, $priority = 10, $accepted = 1 ) {
	global $standin_hooks;
	$standin_hooks[ $hook ][ $priority ][] = array( $callback, $accepted );
	return true;
}
function add_action( $hook, $callback, $priority = 10, $accepted = 1 ) {
	return add_filter( $hook, $callback, $priority, $accepted );
}
function apply_filters( $hook, $value, ...$others ) {
	global $standin_hooks;
	$listeners = $standin_hooks[ $hook ] ?? array();
	ksort( $listeners );
	foreach ( array_merge( ...array_values( $listeners ) ) as $listener ) {
		$value = call_user_func_array( $listener[0], array_slice( array_merge( array( $value ), $others ), 0, $listener[1] ) );
	}
	return $value;
}
function do_action( $hook, ...$arguments ) {
	global $standin_hooks;
	$listeners = $standin_hooks[ $hook ] ?? array();
	ksort( $listeners );
	foreach ( array_merge( ...array_values( $listeners ) ) as $listener ) {
		call_user_func_array( $listener[0], array_slice( $arguments, 0, $listener[1] ) );
	}
}

function get_site_option( $name, $default = false ) {
	global $wpdb;
	$value = $wpdb->get_var( $wpdb->prepare( 'SELECT value FROM options WHERE name = %s', $name ) );
	return null === $value ? $default : unserialize( $value );
}
function update_site_option( $name, $value ) {
	global $wpdb;
	$wpdb->query( $wpdb->prepare( 'INSERT OR REPLACE INTO options VALUES (%s, %s)', $name, serialize( $value ) ) );
}
function delete_site_option( $name ) {
	global $wpdb;
	$wpdb->query( $wpdb->prepare( 'DELETE FROM options WHERE name = %s', $name ) );
}

function wp_remote_post( $url, array $options ) {
	$headers = array();
	foreach ( $options['headers'] + array( 'User-Agent' => $options['user-agent'] ) as $name => $value ) {
		$headers[] = "{$name}: {$value}";
	}
	$http = array(
		'method'          => 'POST',
		'header'          => $headers,
		'content'         => $options['body'],
		'timeout'         => min( $options['timeout'], $GLOBALS['scenario']['timeout'] ?? 15 ),
		'follow_location' => $options['redirection'],
		'ignore_errors'   => true,
	);
	$body = @file_get_contents( $url, false, stream_context_create( array( 'http' => $http ) ) );
	if ( false === $body || empty( $http_response_header ) ) {
		return new WP_Error( 'http_request_failed', 'no answer' );
	}
	preg_match( '#^HTTP/\S+ (\d+)#', $http_response_header[0], $found );
	return array(
		'status'  => (int) $found[1],
		'headers' => $http_response_header,
		'body'    => $body,
	);
}
function wp_remote_retrieve_response_code( $answer ) {
	return $answer['status'];
}
function wp_remote_retrieve_body( $answer ) {
	return $answer['body'];
}
function wp_remote_retrieve_header( $answer, $name ) {
	foreach ( $answer['headers'] as $line ) {
		if ( 0 === stripos( $line, "{$name}:" ) ) {
			return trim( substr( $line, strlen( $name ) + 1 ) );
		}
	}
	return '';
}

function is_wp_error( $value ) {
	return $value instanceof WP_Error;
}
function wp_json_encode( $value, $flags = 0 ) {
	return json_encode( $value, $flags );
}
function wp_generate_uuid4() {
	$hex = bin2hex( random_bytes( 16 ) );
	return sprintf( '%s-%s-4%s-a%s-%s', substr( $hex, 0, 8 ), substr( $hex, 8, 4 ), substr( $hex, 13, 3 ), substr( $hex, 17, 3 ), substr( $hex, 20, 12 ) );
}
function wp_rand( $low, $high ) {
	return random_int( $low, $high );
}
function wp_list_pluck( array $list, $name ) {
	return array_column( $list, $name );
}
function wp_unslash( $value ) {
	return stripslashes( $value );
}
function sanitize_text_field( $text ) {
	return trim( strip_tags( $text ) );
}
function sanitize_key( $text ) {
	return preg_replace( '/[^a-z0-9_-]/', '', strtolower( $text ) );
}
function absint( $value ) {
	return abs( (int) $value );
}
function get_gmt_from_date( $text ) {
	$zone = new DateTimeZone( $GLOBALS['scenario']['zone'] ?? 'UTC' );
	return ( new DateTime( $text, $zone ) )->setTimezone( new DateTimeZone( 'UTC' ) )->format( 'Y-m-d H:i:s' );
}
function get_site( $blog_id ) { return wu_get_site( $blog_id ) ?: null; }
function get_site_url( $blog_id ) { return 'https://network.example.test' . rtrim( wu_get_site( $blog_id )->get_path(), '/' ); }
function get_admin_url( $blog_id ) { return get_site_url( $blog_id ) . '/wp-admin/'; }
function get_userdata( $user_id ) {
	$user = $GLOBALS['scenario']['users'][ (string) $user_id ] ?? null;
	return $user ? (object) $user : false;
}
function is_main_site() {
	return $GLOBALS['scenario']['main_site'] ?? true;
}
function __return_true() {
	return true;
}

$standin_routes = array();

function register_rest_route( $namespace, $route, array $options ) {
	$GLOBALS['standin_routes'][ "{$options['methods']} /{$namespace}{$route}" ] = $options;
	return true;
}
function wp_doing_cron() {
	return false;
}
function wp_next_scheduled( $hook ) {
	return get_site_option( "cron_{$hook}" );
}
function wp_schedule_event( $at, $interval, $hook ) {
	update_site_option( "cron_{$hook}", $at );
}
function wp_schedule_single_event( $at, $hook, $arguments = array() ) {
	update_site_option( "cron_once_{$hook}", $arguments );
}
function spawn_cron() {
	update_site_option( 'cron_spawned', 1 + get_site_option( 'cron_spawned', 0 ) );
}
function wp_unschedule_hook( $hook ) {
	delete_site_option( "cron_{$hook}" );
}
function network_home_url( $path = '' ) {
	return 'https://network.example.test' . $path;
}
function network_admin_url( $path = '' ) {
	return "https://network.example.test/wp-admin/network/{$path}";
}
function get_current_network_id() {
	return 1;
}
function get_bloginfo( $what ) {
	return '6.1.9';
}
function load_plugin_textdomain() {
	return true;
}

// The admin page.
function current_user_can( $capability ) {
	return 'manage_network_options' === $capability && ! empty( $GLOBALS['scenario']['administrator'] );
}
function check_admin_referer( $action ) {
	if ( ( $_POST['_wpnonce'] ?? '' ) !== "nonce-{$action}" ) {
		wp_die( 'The link you followed has expired.' );
	}
}
function wp_die( $text ) {
	echo "died: {$text}";
	exit( 1 );
}
function wp_nonce_field( $action ) {
	echo "<input type='hidden' name='_wpnonce' value='nonce-{$action}'>";
}
function wp_safe_redirect( $url ) {
	echo "redirect: {$url}";
}
function add_query_arg( array $query, $url ) {
	return $url . '?' . http_build_query( $query );
}
function __( $text ) {
	return $text;
}
function esc_html__( $text ) {
	return esc_html( $text );
}
function esc_html( $text ) {
	return htmlspecialchars( $text, ENT_QUOTES );
}
function esc_attr( $text ) {
	return htmlspecialchars( $text, ENT_QUOTES );
}
function esc_url( $url ) {
	return htmlspecialchars( $url, ENT_QUOTES );
}
function esc_url_raw( $url ) {
	return $url;
}
function number_format_i18n( $number ) {
	return number_format( $number );
}
function checked( $value ) {
	return $value ? " checked='checked'" : '';
}
function submit_button() {
	echo '<button>Save</button>';
}
function add_submenu_page() {
	$GLOBALS['standin_page'] = func_get_args()[5];
}
