<?php
/**
 * Sends what the outbox holds.
 *
 * @package Lifecycle_Relay
 */

defined( 'ABSPATH' ) || exit;

/**
 * One signed POST per event, again with a growing delay until the relay has it or refuses it.
 */
class Lifecycle_Relay_Sender {

	/** Seconds that one request may take; less than the outbox's lease. */
	const TIMEOUT = 15;

	/** Seconds after which a run takes no further event. */
	const BUDGET = 20;

	/** Seconds before the second attempt, and the longest delay. */
	const FIRST_DELAY = 30;
	const LAST_DELAY  = 3600;

	/** The answers after which the same event will never be taken (docs/bridge-envelope.md). */
	const REFUSALS = array( 400, 409, 413, 415, 422 );

	const LAST_ERROR_OPTION = 'lifecycle_relay_last_error';

	/**
	 * The outbox.
	 *
	 * @var Lifecycle_Relay_Outbox
	 */
	private $outbox;

	/**
	 * The settings.
	 *
	 * @var Lifecycle_Relay_Settings
	 */
	private $settings;

	/**
	 * Takes the outbox and the settings.
	 *
	 * @param Lifecycle_Relay_Outbox   $outbox   The outbox.
	 * @param Lifecycle_Relay_Settings $settings The settings.
	 */
	public function __construct( Lifecycle_Relay_Outbox $outbox, Lifecycle_Relay_Settings $settings ) {
		$this->outbox   = $outbox;
		$this->settings = $settings;
	}

	/**
	 * Sends what is due, oldest first, until nothing is, the relay is in trouble, or time is up.
	 *
	 * @return int How many events the relay acknowledged.
	 */
	public function run() {
		$until = time() + self::BUDGET;
		$sent  = 0;
		while ( $this->settings->is_complete() && time() < $until ) {
			$row = $this->outbox->claim();
			if ( null === $row ) {
				break;
			}
			$status = $this->send( $row );
			$sent  += $status >= 200 && $status < 300 ? 1 : 0;
			if ( 0 === $status || 401 === $status || 403 === $status || 429 === $status || $status >= 500 ) {
				break;
			}
		}
		return $sent;
	}

	/**
	 * The value of `webhook-signature` (Standard Webhooks 1.0.0).
	 *
	 * @param string $key       The key.
	 * @param string $id        The event's id.
	 * @param int    $timestamp Seconds since 1970.
	 * @param string $body      The body.
	 * @return string
	 */
	public static function signature( $key, $id, $timestamp, $body ) {
		return 'v1,' . base64_encode( hash_hmac( 'sha256', "{$id}.{$timestamp}.{$body}", $key, true ) ); // phpcs:ignore WordPress.PHP.DiscouragedPHPFunctions.obfuscation_base64_encode -- Required by the specification.
	}

	/**
	 * Sends one event and settles its row.
	 *
	 * @param object $row The claimed row.
	 * @return int The status; 0 without an answer.
	 */
	private function send( $row ) {
		$timestamp = time();
		$answer    = wp_remote_post(
			$this->settings->url(),
			array(
				'timeout'     => self::TIMEOUT,
				'redirection' => 0,
				'headers'     => array(
					'Content-Type'      => 'application/json',
					'webhook-id'        => $row->event_id,
					'webhook-timestamp' => (string) $timestamp,
					'webhook-signature' => self::signature( $this->settings->key(), $row->event_id, $timestamp, $row->body ),
				),
				'user-agent'  => 'lifecycle-relay-wordpress/' . LIFECYCLE_RELAY_VERSION,
				'body'        => $row->body,
			)
		);
		$status    = is_wp_error( $answer ) ? 0 : (int) wp_remote_retrieve_response_code( $answer );
		if ( $status >= 200 && $status < 300 ) {
			$this->outbox->acknowledged( $row );
			return $status;
		}
		$error = is_wp_error( $answer ) ? $answer->get_error_message() : $this->problem( $status, $answer );
		update_site_option(
			self::LAST_ERROR_OPTION,
			array(
				'time' => $timestamp,
				'text' => mb_substr( $error, 0, 250 ),
			)
		);
		if ( in_array( $status, self::REFUSALS, true ) ) {
			$this->outbox->refused( $row, $error );
		} else {
			$this->outbox->postpone( $row, $this->delay( (int) $row->attempts, $answer ), $error );
		}
		return $status;
	}

	/**
	 * What the relay's problem document says.
	 *
	 * @param int   $status The status.
	 * @param array $answer The answer.
	 * @return string
	 */
	private function problem( $status, $answer ) {
		$problem = json_decode( wp_remote_retrieve_body( $answer ), true );
		$detail  = is_array( $problem ) && isset( $problem['detail'] ) && is_string( $problem['detail'] ) ? $problem['detail'] : '';
		return trim( "HTTP {$status} " . sanitize_text_field( $detail ) );
	}

	/**
	 * Seconds until the next attempt: doubled each time, spread by a fifth, or what the relay asks.
	 *
	 * @param int            $attempts How many there were.
	 * @param array|WP_Error $answer   The answer.
	 * @return int
	 */
	private function delay( $attempts, $answer ) {
		$delay = min( self::LAST_DELAY, self::FIRST_DELAY * pow( 2, min( 10, max( 0, $attempts - 1 ) ) ) );
		$delay = (int) ( $delay * wp_rand( 90, 110 ) / 100 );
		$asked = is_wp_error( $answer ) ? '' : (string) wp_remote_retrieve_header( $answer, 'retry-after' );
		if ( '' === $asked ) {
			return $delay;
		}
		$seconds = ctype_digit( $asked ) ? (int) $asked : (int) strtotime( $asked ) - time();
		return max( $delay, min( DAY_IN_SECONDS, $seconds ) );
	}
}
