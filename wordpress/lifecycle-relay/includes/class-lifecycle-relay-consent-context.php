<?php
/**
 * Browser identifiers, read at checkout and only with consent.
 *
 * @package Lifecycle_Relay
 */

defined( 'ABSPATH' ) || exit;

/**
 * Captures what analytics needs to join a renewal to the visit that began it.
 */
class Lifecycle_Relay_Consent_Context {

	const META_KEY = 'lifecycle_relay_context';

	/**
	 * The settings.
	 *
	 * @var Lifecycle_Relay_Settings
	 */
	private $settings;

	/**
	 * Takes the settings.
	 *
	 * @param Lifecycle_Relay_Settings $settings The settings.
	 */
	public function __construct( Lifecycle_Relay_Settings $settings ) {
		$this->settings = $settings;
	}

	/**
	 * Keeps the visitor's identifiers on the customer; without consent, removes what was kept.
	 *
	 * @param object $customer The customer whose browser made this request.
	 */
	public function capture( $customer ) {
		$consent = array(
			'analytics' => $this->allows( 'statistics' ),
			'marketing' => $this->allows( 'marketing' ),
		);
		$context = array_filter( $this->identifiers( $consent ) );
		if ( array() === $context ) {
			if ( $customer->get_meta( self::META_KEY ) ) {
				$customer->update_meta( self::META_KEY, '' );
			}
			return;
		}
		$customer->update_meta( self::META_KEY, array( 'consent' => $consent ) + $context );
	}

	/**
	 * What was kept of a customer.
	 *
	 * @param mixed $customer_id The customer's id.
	 * @return array|null
	 */
	public function of( $customer_id ) {
		$id       = Lifecycle_Relay_Values::id( $customer_id );
		$customer = null !== $id && function_exists( 'wu_get_customer' ) ? wu_get_customer( (int) $id ) : null;
		$context  = $customer ? $customer->get_meta( self::META_KEY ) : null;
		return is_array( $context ) && array() !== $context ? $context : null;
	}

	/**
	 * Whether the visitor agreed to a purpose of the WP Consent API.
	 *
	 * @param string $purpose statistics or marketing.
	 * @return bool
	 */
	private function allows( $purpose ) {
		if ( function_exists( 'wp_has_consent' ) ) {
			return (bool) wp_has_consent( $purpose );
		}
		return $this->settings->captures_without_consent_api();
	}

	/**
	 * What the request's cookies say.
	 *
	 * @param array $consent Booleans for analytics and marketing.
	 * @return array
	 */
	private function identifiers( array $consent ) {
		$found = array();
		if ( $consent['analytics'] ) {
			$found['ga_client_id']  = $this->part( '/^GA\d+\.\d+\.(\d+\.\d+)$/D', $this->cookie( '_ga' ) );
			$found['ga_session_id'] = $this->session_id();
		}
		if ( $consent['marketing'] ) {
			$found['fbp'] = $this->part( '/^(fb\.[\w.-]+)$/D', $this->cookie( '_fbp' ) );
			$found['fbc'] = $this->part( '/^(fb\.[\w.-]+)$/D', $this->cookie( '_fbc' ) );
		}
		if ( array() !== array_filter( $found ) && isset( $_SERVER['HTTP_USER_AGENT'] ) ) {
			$found['user_agent'] = substr( sanitize_text_field( wp_unslash( $_SERVER['HTTP_USER_AGENT'] ) ), 0, 500 );
		}
		return $found;
	}

	/**
	 * The session of the first Google Analytics stream: GS1.1.<session>.… or GS2.1.s<session>$….
	 *
	 * @return string|null
	 */
	private function session_id() {
		foreach ( array_keys( $_COOKIE ) as $name ) {
			if ( 0 === strpos( (string) $name, '_ga_' ) ) {
				$found = $this->part( '/^GS\d+\.\d+\.s?(\d+)[.$]/', $this->cookie( $name ) );
				if ( null !== $found ) {
					return $found;
				}
			}
		}
		return null;
	}

	/**
	 * A cookie as text.
	 *
	 * @param string $name Its name.
	 * @return string
	 */
	private function cookie( $name ) {
		return isset( $_COOKIE[ $name ] ) && is_string( $_COOKIE[ $name ] ) ? substr( sanitize_text_field( wp_unslash( $_COOKIE[ $name ] ) ), 0, 500 ) : '';
	}

	/**
	 * The part of a text that a pattern names.
	 *
	 * @param string $pattern The pattern, with one group.
	 * @param string $text    The text.
	 * @return string|null
	 */
	private function part( $pattern, $text ) {
		return 1 === preg_match( $pattern, $text, $found ) ? $found[1] : null;
	}
}
