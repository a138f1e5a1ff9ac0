<?php
/**
 * Where the relay is, and what may be sent to it.
 *
 * @package Lifecycle_Relay
 */

defined( 'ABSPATH' ) || exit;

/**
 * Reads constants first, then the network option.
 */
class Lifecycle_Relay_Settings {

	const OPTION = 'lifecycle_relay_settings';

	/**
	 * The constant that overrides each setting.
	 */
	const CONSTANTS = array(
		'url'    => 'LIFECYCLE_RELAY_URL',
		'secret' => 'LIFECYCLE_RELAY_SECRET',
	);

	/**
	 * The URL of the relay's source, for example https://relay.example/webhooks/my-network.
	 *
	 * @return string Empty when it is not set.
	 */
	public function url() {
		return $this->text( 'url' );
	}

	/**
	 * The key of the signing secret.
	 *
	 * @return string The bytes; empty when the secret is not set or has another form.
	 */
	public function key() {
		$secret = $this->text( 'secret' );
		if ( ! self::is_secret( $secret ) ) {
			return '';
		}
		$key = base64_decode( substr( $secret, strlen( 'whsec_' ) ), true ); // phpcs:ignore WordPress.PHP.DiscouragedPHPFunctions.obfuscation_base64_decode -- The form that Standard Webhooks gives secrets.
		return false === $key ? '' : $key;
	}

	/**
	 * Whether browser identifiers may be read on a network without the WP Consent API.
	 *
	 * @return bool
	 */
	public function captures_without_consent_api() {
		$stored = $this->stored();
		return ! empty( $stored['capture'] );
	}

	/**
	 * Whether events can be sent at all.
	 *
	 * @return bool
	 */
	public function is_complete() {
		return '' !== $this->url() && '' !== $this->key();
	}

	/**
	 * Whether a constant decides a setting.
	 *
	 * @param string $name One of the keys of CONSTANTS.
	 * @return bool
	 */
	public function is_constant( $name ) {
		return defined( self::CONSTANTS[ $name ] );
	}

	/**
	 * Stores what the admin page was given.
	 *
	 * @param array $changes Some of url, secret and capture.
	 */
	public function store( array $changes ) {
		update_site_option( self::OPTION, array_merge( $this->stored(), $changes ) );
	}

	/**
	 * Whether a text has the form of a Standard Webhooks secret of 24 to 64 bytes.
	 *
	 * @param string $text The text.
	 * @return bool
	 */
	public static function is_secret( $text ) {
		if ( 1 !== preg_match( '#^whsec_[A-Za-z0-9+/]+={0,2}$#D', $text ) ) {
			return false;
		}
		$key = base64_decode( substr( $text, strlen( 'whsec_' ) ), true ); // phpcs:ignore WordPress.PHP.DiscouragedPHPFunctions.obfuscation_base64_decode -- The form that Standard Webhooks gives secrets.
		return false !== $key && strlen( $key ) >= 24 && strlen( $key ) <= 64;
	}

	/**
	 * Whether a text is an address the relay can have.
	 *
	 * @param string $text The text.
	 * @return bool
	 */
	public static function is_url( $text ) {
		return false !== filter_var( $text, FILTER_VALIDATE_URL ) && 1 === preg_match( '#^https?://#i', $text );
	}

	/**
	 * A setting as text.
	 *
	 * @param string $name One of the keys of CONSTANTS.
	 * @return string
	 */
	private function text( $name ) {
		if ( $this->is_constant( $name ) ) {
			return trim( (string) constant( self::CONSTANTS[ $name ] ) );
		}
		$stored = $this->stored();
		return isset( $stored[ $name ] ) ? (string) $stored[ $name ] : '';
	}

	/**
	 * What the network option holds.
	 *
	 * @return array
	 */
	private function stored() {
		$stored = get_site_option( self::OPTION, array() );
		return is_array( $stored ) ? $stored : array();
	}
}
