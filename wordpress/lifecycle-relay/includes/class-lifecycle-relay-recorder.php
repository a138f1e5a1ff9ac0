<?php
/**
 * The events of this request.
 *
 * @package Lifecycle_Relay
 */

defined( 'ABSPATH' ) || exit;

/**
 * Writes each event into the outbox as it happens, once per type and object.
 *
 * What happens again in the same request changes the event that is there: until the request ends
 * it is held back, so that nobody has seen the first form. Should the process die, the outbox
 * lets the event go as it stands.
 */
class Lifecycle_Relay_Recorder {

	/** What an event type looks like (docs/bridge-envelope.md). */
	const TYPE = '/^[a-z][a-z0-9_.-]{0,63}$/D';

	/**
	 * The outbox.
	 *
	 * @var Lifecycle_Relay_Outbox
	 */
	private $outbox;

	/**
	 * The browser identifiers kept on customers.
	 *
	 * @var Lifecycle_Relay_Consent_Context
	 */
	private $context;

	/**
	 * The events by type and object: `row`, the outbox's row, and `envelope`.
	 *
	 * @var array[]
	 */
	private $events = array();

	/**
	 * Takes the outbox and the contexts.
	 *
	 * @param Lifecycle_Relay_Outbox          $outbox  The outbox.
	 * @param Lifecycle_Relay_Consent_Context $context The contexts.
	 */
	public function __construct( Lifecycle_Relay_Outbox $outbox, Lifecycle_Relay_Consent_Context $context ) {
		$this->outbox  = $outbox;
		$this->context = $context;
	}

	/**
	 * Records an event, or says more about one of this request.
	 *
	 * @param string $type    The event type.
	 * @param string $subject What it is about, such as `membership/2`.
	 * @param array  $data    The envelope's data.
	 * @param bool   $test    Whether it is only a test.
	 */
	public function record( $type, $subject, array $data, $test = false ) {
		$key = "{$type} {$subject}";
		if ( isset( $this->events[ $key ] ) ) {
			$envelope         = $this->events[ $key ]['envelope'];
			$envelope['data'] = $this->merged( $envelope['data'], $data );
			if ( $this->outbox->rewrite( $this->events[ $key ]['row'], $this->encode( $envelope ) ) ) {
				$this->events[ $key ]['envelope'] = $envelope;
				return;
			}
		}
		$envelope = $this->envelope( $type, $data, $test );
		$row      = $this->outbox->hold( $envelope['id'], $type, $this->encode( $envelope ) );
		if ( 0 === $row ) {
			error_log( "Lifecycle Relay: the event {$type} of {$subject} could not be stored." ); // phpcs:ignore WordPress.PHP.DevelopmentFunctions.error_log_error_log -- The only place left to say so.
			return;
		}
		$this->events[ $key ] = array(
			'row'      => $row,
			'envelope' => $envelope,
		);
	}

	/**
	 * Whether this request recorded one of these types about an object.
	 *
	 * @param string $pattern A pattern of types.
	 * @param string $subject The object.
	 * @return bool
	 */
	public function has( $pattern, $subject ) {
		foreach ( array_keys( $this->events ) as $key ) {
			list( $type, $about ) = explode( ' ', $key, 2 );
			if ( $about === $subject && 1 === preg_match( $pattern, $type ) ) {
				return true;
			}
		}
		return false;
	}

	/**
	 * The data of an event of this request.
	 *
	 * @param string $type    The event type.
	 * @param string $subject The object.
	 * @return array|null
	 */
	public function data( $type, $subject ) {
		$key = "{$type} {$subject}";
		return isset( $this->events[ $key ] ) ? $this->events[ $key ]['envelope']['data'] : null;
	}

	/**
	 * Takes an event of this request back, because another one says the same and more.
	 *
	 * @param string $type    The event type.
	 * @param string $subject The object.
	 */
	public function withdraw( $type, $subject ) {
		$key = "{$type} {$subject}";
		if ( isset( $this->events[ $key ] ) ) {
			$this->outbox->withdraw( $this->events[ $key ]['row'] );
			unset( $this->events[ $key ] );
		}
	}

	/**
	 * Gives the context that was just captured to the customer's events of this request.
	 *
	 * @param mixed $customer_id The customer's id.
	 */
	public function add_context( $customer_id ) {
		$id      = Lifecycle_Relay_Values::id( $customer_id );
		$context = $this->context->of( $id );
		foreach ( $this->events as $key => $event ) {
			if ( null === $id || $this->customer_of( $event['envelope']['data'] ) !== $id ) {
				continue;
			}
			unset( $event['envelope']['context'] );
			if ( null !== $context ) {
				$event['envelope']['context'] = $context;
			}
			if ( $this->outbox->rewrite( $event['row'], $this->encode( $event['envelope'] ) ) ) {
				$this->events[ $key ] = $event;
			}
		}
	}

	/**
	 * Lets the request's events be sent.
	 *
	 * @return bool Whether there were any.
	 */
	public function release() {
		$any = array() !== $this->events;
		foreach ( $this->events as $event ) {
			$this->outbox->release( $event['row'] );
		}
		$this->events = array();
		return $any;
	}

	/**
	 * The envelope of a new event.
	 *
	 * @param string $type The event type.
	 * @param array  $data The data.
	 * @param bool   $test Whether it is only a test.
	 * @return array
	 */
	private function envelope( $type, array $data, $test ) {
		$envelope = array(
			'spec'        => 'lifecycle-relay/1',
			'id'          => wp_generate_uuid4(),
			'type'        => $type,
			'occurred_at' => gmdate( 'Y-m-d\TH:i:s\Z' ),
			'source'      => array(
				'network_url'    => network_home_url( '/' ),
				'network_id'     => (string) get_current_network_id(),
				'um_version'     => function_exists( 'wu_get_version' ) ? (string) wu_get_version() : null,
				'wp_version'     => get_bloginfo( 'version' ),
				'bridge_version' => LIFECYCLE_RELAY_VERSION,
			),
		);
		$context  = $this->context->of( $this->customer_of( $data ) );
		if ( null !== $context ) {
			$envelope['context'] = $context;
		}
		if ( $test ) {
			$envelope['test'] = true;
		}
		$envelope['data'] = $data;
		return $envelope;
	}

	/**
	 * Two tellings of one event: the later wins, but nothing known becomes unknown.
	 *
	 * @param array $earlier The data so far.
	 * @param array $later   The data now.
	 * @return array
	 */
	private function merged( array $earlier, array $later ) {
		foreach ( $later as $name => $value ) {
			if ( is_array( $value ) && isset( $earlier[ $name ] ) && is_array( $earlier[ $name ] ) && ! isset( $value[0] ) ) {
				$earlier[ $name ] = $this->merged( $earlier[ $name ], $value );
			} elseif ( null !== $value || ! array_key_exists( $name, $earlier ) ) {
				$earlier[ $name ] = $value;
			}
		}
		return $earlier;
	}

	/**
	 * The id of the customer in an envelope's data.
	 *
	 * @param array $data The data.
	 * @return string|null
	 */
	private function customer_of( array $data ) {
		return isset( $data['customer']['id'] ) ? Lifecycle_Relay_Values::id( $data['customer']['id'] ) : null;
	}

	/**
	 * An envelope as JSON in ASCII, which a database of any character set keeps as it is.
	 *
	 * @param array $envelope The envelope.
	 * @return string
	 */
	private function encode( array $envelope ) {
		$body = wp_json_encode( $envelope, JSON_UNESCAPED_SLASHES | JSON_INVALID_UTF8_SUBSTITUTE | JSON_PARTIAL_OUTPUT_ON_ERROR );
		return false === $body ? '{}' : $body;
	}
}
