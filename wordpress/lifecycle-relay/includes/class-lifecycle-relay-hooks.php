<?php
/**
 * The platform's real hooks, and the events they are.
 *
 * @package Lifecycle_Relay
 */

defined( 'ABSPATH' ) || exit;

/**
 * Listens to what Ultimate Multisite does (hooks and argument orders of 2.4.10 and 2.4.13).
 *
 * The four hooks of the platform's integration guide do not exist in its code; the events have
 * their names without `wu_`.
 */
class Lifecycle_Relay_Hooks {

	/** The plan that a membership had at its last save. */
	const PLAN_META_KEY = 'lifecycle_relay_plan_id';

	/** What says more than `membership_post_update`, and so takes its place. */
	const SAYS_MORE = '/^membership_(post_create|status_to_.+|renewed|plan_changed)$/D';

	/** Built-in events of old versions that have another name here. */
	const OLD_NAMES = '/^(customer|membership|payment)_(created|updated)$/D';

	/** The kinds of objects in built-in events, the most particular first. */
	const KINDS = array( 'domain', 'site', 'payment', 'membership', 'customer' );

	/**
	 * The recorder.
	 *
	 * @var Lifecycle_Relay_Recorder
	 */
	private $recorder;

	/**
	 * The serializer.
	 *
	 * @var Lifecycle_Relay_Serializer
	 */
	private $serializer;

	/**
	 * The contexts.
	 *
	 * @var Lifecycle_Relay_Consent_Context
	 */
	private $context;

	/**
	 * The loop guard.
	 *
	 * @var Lifecycle_Relay_Loop_Guard
	 */
	private $guard;

	/**
	 * Takes what it works with.
	 *
	 * @param Lifecycle_Relay_Recorder        $recorder   The recorder.
	 * @param Lifecycle_Relay_Serializer      $serializer The serializer.
	 * @param Lifecycle_Relay_Consent_Context $context    The contexts.
	 * @param Lifecycle_Relay_Loop_Guard      $guard      The loop guard.
	 */
	public function __construct( Lifecycle_Relay_Recorder $recorder, Lifecycle_Relay_Serializer $serializer, Lifecycle_Relay_Consent_Context $context, Lifecycle_Relay_Loop_Guard $guard ) {
		$this->recorder   = $recorder;
		$this->serializer = $serializer;
		$this->context    = $context;
		$this->guard      = $guard;
	}

	/**
	 * Puts itself on the hooks.
	 */
	public function register() {
		$hooks = array(
			'wu_event'                        => array( 'built_in', 2 ),
			'wu_customer_post_save'           => array( 'customer_saved', 3 ),
			'wu_customer_post_delete'         => array( 'customer_deleted', 2 ),
			'wu_checkout_order_created'       => array( 'order_created', 2 ),
			'wu_checkout_done'                => array( 'checkout_done', 6 ),
			'wu_membership_post_save'         => array( 'membership_saved', 3 ),
			'wu_transition_membership_status' => array( 'membership_status', 3 ),
			'wu_membership_post_cancel'       => array( 'membership_cancelled', 2 ),
			'wu_membership_post_renew'        => array( 'membership_renewed', 3 ),
			'wu_membership_post_delete'       => array( 'membership_deleted', 2 ),
			'wu_recurring_payment_failed'     => array( 'payment_failed', 2 ),
			'wu_payment_post_save'            => array( 'payment_saved', 3 ),
			'wu_transition_payment_status'    => array( 'payment_status', 3 ),
			'wu_site_post_save'               => array( 'site_saved', 3 ),
			'wu_site_post_delete'             => array( 'site_deleted', 2 ),
			'wu_domain_post_save'             => array( 'domain_saved', 3 ),
			'wu_transition_domain_stage'      => array( 'domain_stage', 3 ),
		);
		foreach ( $hooks as $hook => $listener ) {
			add_action( $hook, $this->harmless( array( $this, $listener[0] ) ), 20, $listener[1] );
		}
	}

	/**
	 * A customer was created or changed.
	 *
	 * @param array  $data     What was stored.
	 * @param object $customer The customer.
	 * @param bool   $is_new   Whether it was created.
	 */
	public function customer_saved( $data, $customer, $is_new ) {
		$this->saved( 'customer', $customer, $is_new );
	}

	/**
	 * A customer was deleted.
	 *
	 * @param mixed  $result   False when it was not.
	 * @param object $customer The customer.
	 */
	public function customer_deleted( $result, $customer ) {
		$this->deleted( 'customer', $result, $customer );
	}

	/**
	 * A checkout made its order: the browser is the customer's.
	 *
	 * @param object $cart     The cart.
	 * @param object $customer The customer.
	 */
	public function order_created( $cart, $customer ) {
		$this->context->capture( $customer );
		$this->recorder->add_context( $customer->get_id() );
	}

	/**
	 * A checkout is through.
	 *
	 * @param object $payment    The payment.
	 * @param object $membership The membership.
	 * @param object $customer   The customer.
	 * @param object $cart       The cart.
	 * @param string $type       new, upgrade, downgrade, addon, renewal or retry.
	 * @param object $checkout   The checkout.
	 */
	public function checkout_done( $payment, $membership, $customer, $cart, $type, $checkout ) {
		if ( is_object( $customer ) ) {
			$this->order_created( $cart, $customer );
		}
		$data     = array( 'cart_type' => Lifecycle_Relay_Values::text( $type ) );
		$entities = array_filter( compact( 'payment', 'membership', 'customer' ), 'is_object' );
		foreach ( $entities as $kind => $entity ) {
			$data[ $kind ] = $this->serializer->one( $kind, $entity );
		}
		if ( array() !== $entities ) {
			$data['gateway'] = isset( $data['payment']['gateway'] ) ? $data['payment']['gateway'] : null;
			$data['is_free'] = isset( $data['payment']['total'] ) ? 0.0 === (float) $data['payment']['total'] : null;
			$this->recorder->record( 'checkout_completed', $this->subject( key( $entities ), reset( $entities ) ), $data );
		}
	}

	/**
	 * A membership was created or changed.
	 *
	 * A change of the plan is seen by what the last save left: the platform's own transition hook
	 * misses it whenever the new id equals another old value of the row, such as a flag of 1.
	 *
	 * @param array  $data       What was stored.
	 * @param object $membership The membership.
	 * @param bool   $is_new     Whether it was created.
	 */
	public function membership_saved( $data, $membership, $is_new ) {
		$subject = $this->subject( 'membership', $membership );
		$before  = Lifecycle_Relay_Values::id( $membership->get_meta( self::PLAN_META_KEY ) );
		$now     = Lifecycle_Relay_Values::id( $membership->get_plan_id() );
		if ( $now !== $before ) {
			$membership->update_meta( self::PLAN_META_KEY, (string) $now );
		}
		if ( null !== $before && null !== $now && $now !== $before ) {
			$plan                               = $this->serializer->find( 'plan', $before );
			$found                              = $this->serializer->with_owners( 'membership', $membership );
			$found['membership']['previous_plan'] = null === $plan ? array( 'id' => $before ) : $this->serializer->plan( $plan );
			$this->particular( 'membership_plan_changed', $subject, $found );
		}
		$this->saved( 'membership', $membership, $is_new );
	}

	/**
	 * A membership has another status; a new one says its status by being created.
	 *
	 * @param string $old_status `new` for a new membership.
	 * @param string $new_status The status now.
	 * @param mixed  $id         The membership's id.
	 */
	public function membership_status( $old_status, $new_status, $id ) {
		$this->status( 'membership', $old_status, $new_status, $id );
	}

	/**
	 * A membership was cancelled: its status event learns the reason, which is stored after it.
	 *
	 * The platform writes the time of the cancellation in the site's zone; here it is now.
	 *
	 * @param mixed  $id         Its id.
	 * @param object $membership The membership.
	 */
	public function membership_cancelled( $id, $membership ) {
		$subject = $this->subject( 'membership', $membership );
		if ( null !== $this->recorder->data( 'membership_status_to_cancelled', $subject ) ) {
			$data = $this->serializer->with_owners( 'membership', $membership );
			if ( null !== $data['membership']['cancellation_reason'] ) {
				$data['reason'] = $data['membership']['cancellation_reason'];
			}
			$this->particular( 'membership_status_to_cancelled', $subject, $data );
		}
	}

	/**
	 * A membership was renewed.
	 *
	 * @param string $expiration When it ends now.
	 * @param mixed  $id         Its id.
	 * @param object $membership The membership.
	 */
	public function membership_renewed( $expiration, $id, $membership ) {
		$this->particular( 'membership_renewed', $this->subject( 'membership', $membership ), $this->serializer->with_owners( 'membership', $membership ) );
	}

	/**
	 * A membership was deleted.
	 *
	 * @param mixed  $result     False when it was not.
	 * @param object $membership The membership.
	 */
	public function membership_deleted( $result, $membership ) {
		$this->deleted( 'membership', $result, $membership );
	}

	/**
	 * A recurring payment failed; versions from 2.4.12 on fire `wu_event` as well, which is the same.
	 *
	 * @param object $membership The membership.
	 * @param object $gateway    The gateway.
	 */
	public function payment_failed( $membership, $gateway ) {
		$data = $this->serializer->with_owners( 'membership', $membership );
		$name = is_object( $gateway ) ? Lifecycle_Relay_Values::text( $this->serializer->get( $gateway, 'get_id' ) ) : null;
		if ( null === $name ) {
			$name = $data['membership']['gateway'];
		}
		$data['payment_gateway'] = $name;
		$this->recorder->record( 'payment_failed', $this->subject( 'membership', $membership ), $data );
	}

	/**
	 * A payment was created or changed; changes are told by its status.
	 *
	 * @param array  $data    What was stored.
	 * @param object $payment The payment.
	 * @param bool   $is_new  Whether it was created.
	 */
	public function payment_saved( $data, $payment, $is_new ) {
		$subject = $this->subject( 'payment', $payment );
		if ( $is_new || $this->recorder->has( '/^payment_post_create$/D', $subject ) ) {
			$this->recorder->record( 'payment_post_create', $subject, $this->serializer->with_owners( 'payment', $payment ) );
		}
	}

	/**
	 * A payment has another status.
	 *
	 * @param string $old_status `new` for a new payment.
	 * @param string $new_status The status now.
	 * @param mixed  $id         The payment's id.
	 */
	public function payment_status( $old_status, $new_status, $id ) {
		$this->status( 'payment', $old_status, $new_status, $id );
	}

	/**
	 * A site was created or changed.
	 *
	 * @param array  $data   What was stored.
	 * @param object $site   The site.
	 * @param bool   $is_new Whether it was created.
	 */
	public function site_saved( $data, $site, $is_new ) {
		if ( $is_new ) {
			$this->recorder->record( 'site_post_create', $this->subject( 'site', $site ), $this->serializer->with_owners( 'site', $site ) );
		}
	}

	/**
	 * A site was deleted.
	 *
	 * @param mixed  $result False when it was not.
	 * @param object $site   The site.
	 */
	public function site_deleted( $result, $site ) {
		$this->deleted( 'site', $result, $site );
	}

	/**
	 * A domain was mapped, by whomever; the platform's own event tells of customers only.
	 *
	 * @param array  $data   What was stored.
	 * @param object $domain The domain.
	 * @param bool   $is_new Whether it was created.
	 */
	public function domain_saved( $data, $domain, $is_new ) {
		if ( $is_new ) {
			$this->recorder->record( 'domain_created', $this->subject( 'domain', $domain ), $this->serializer->with_owners( 'domain', $domain ) );
		}
	}

	/**
	 * A domain reached another stage.
	 *
	 * @param string $old_stage `new` for a new domain.
	 * @param string $new_stage The stage now.
	 * @param mixed  $id        The domain's id.
	 */
	public function domain_stage( $old_stage, $new_stage, $id ) {
		$domain = $this->serializer->find( 'domain', $id );
		if ( 'new' === $old_stage || $old_stage === $new_stage || null === $domain ) {
			return;
		}
		$data                             = $this->serializer->with_owners( 'domain', $domain );
		$data['domain']['stage']          = $new_stage;
		$data['domain']['previous_stage'] = $old_stage;
		$this->typed( "domain_stage_to_{$new_stage}", $this->subject( 'domain', $domain ), $data );
	}

	/**
	 * The platform fired one of its own events.
	 *
	 * Its flat body is replaced, group by group, by the objects it names, which say more; what
	 * belongs to no group stays.
	 *
	 * @param string $slug    The event type.
	 * @param array  $payload The body of the platform's webhook.
	 */
	public function built_in( $slug, $payload ) {
		if ( ! is_array( $payload ) || 1 === preg_match( self::OLD_NAMES, (string) $slug ) ) {
			return;
		}
		$data    = $payload;
		$subject = '';
		unset( $data['wu_version'], $data['customer_avatar'] );
		foreach ( self::KINDS as $kind ) {
			$id     = isset( $payload[ $kind ]['id'] ) ? $payload[ $kind ]['id'] : ( isset( $payload[ "{$kind}_id" ] ) ? $payload[ "{$kind}_id" ] : null );
			$entity = $this->serializer->find( $kind, $id );
			if ( null === $entity ) {
				continue;
			}
			if ( '' === $subject ) {
				$subject = $this->subject( $kind, $entity );
			}
			$data          = $this->without_group( $kind, $data );
			$data[ $kind ] = $this->serializer->one( $kind, $entity );
		}
		$this->typed( $slug, '' === $subject ? md5( (string) wp_json_encode( $payload ) ) : $subject, $data );
	}

	/**
	 * Data without a group's flat members.
	 *
	 * @param string $kind The group.
	 * @param array  $data The data.
	 * @return array
	 */
	private function without_group( $kind, array $data ) {
		foreach ( array_keys( $data ) as $name ) {
			// Where to pay stands beside the group.
			if ( 0 === strpos( (string) $name, "{$kind}_" ) && 'payment_url' !== $name ) {
				unset( $data[ $name ] );
			}
		}
		return $data;
	}

	/**
	 * An object was created or changed.
	 *
	 * @param string $kind   customer or membership.
	 * @param object $entity The object.
	 * @param bool   $is_new Whether it was created.
	 */
	private function saved( $kind, $entity, $is_new ) {
		$subject = $this->subject( $kind, $entity );
		if ( $this->guard->covers( $subject ) ) {
			return;
		}
		$data = $this->serializer->with_owners( $kind, $entity );
		if ( $is_new || $this->recorder->has( "/^{$kind}_post_create$/D", $subject ) ) {
			$this->recorder->record( "{$kind}_post_create", $subject, $data );
		} elseif ( ! $this->recorder->has( self::SAYS_MORE, $subject ) ) {
			$this->recorder->record( "{$kind}_post_update", $subject, $data );
		}
	}

	/**
	 * An object was deleted.
	 *
	 * @param string $kind   customer, membership or site.
	 * @param mixed  $result False when it was not.
	 * @param object $entity The object.
	 */
	private function deleted( $kind, $result, $entity ) {
		if ( $result && ! is_wp_error( $result ) ) {
			$this->particular( "{$kind}_post_delete", $this->subject( $kind, $entity ), $this->serializer->with_owners( $kind, $entity ) );
		}
	}

	/**
	 * A membership or a payment has another status.
	 *
	 * @param string $kind       membership or payment.
	 * @param string $old_status The status before.
	 * @param string $new_status The status now.
	 * @param mixed  $id         The object's id.
	 */
	private function status( $kind, $old_status, $new_status, $id ) {
		$entity = $this->serializer->find( $kind, $id );
		if ( 'new' === $old_status || $old_status === $new_status || null === $entity || $this->guard->covers( "{$kind}/{$id}" ) ) {
			return;
		}
		$data                             = $this->serializer->with_owners( $kind, $entity );
		$data[ $kind ]['status']          = $new_status;
		$data[ $kind ]['previous_status'] = $old_status;
		$this->typed( "{$kind}_status_to_{$new_status}", $this->subject( $kind, $entity ), $data );
	}

	/**
	 * Records an event that says more than an update, which is then not needed.
	 *
	 * @param string $type    The event type.
	 * @param string $subject The object.
	 * @param array  $data    The data.
	 */
	private function particular( $type, $subject, array $data ) {
		$this->recorder->record( $type, $subject, $data );
		list( $kind ) = explode( '/', $subject );
		$this->recorder->withdraw( "{$kind}_post_update", $subject );
	}

	/**
	 * Records an event whose type came from the platform, if the relay can take it.
	 *
	 * @param string $type    The event type.
	 * @param string $subject The object.
	 * @param array  $data    The data.
	 */
	private function typed( $type, $subject, array $data ) {
		if ( 1 === preg_match( Lifecycle_Relay_Recorder::TYPE, (string) $type ) ) {
			if ( 1 === preg_match( self::SAYS_MORE, (string) $type ) ) {
				$this->particular( $type, $subject, $data );
			} else {
				$this->recorder->record( $type, $subject, $data );
			}
		}
	}

	/**
	 * The name of an object within the request.
	 *
	 * @param string $kind   Its kind.
	 * @param object $entity The object.
	 * @return string
	 */
	private function subject( $kind, $entity ) {
		$id = 'site' === $kind ? $entity->get_blog_id() : $entity->get_id();
		return "{$kind}/" . (int) $id;
	}

	/**
	 * A listener whose mistakes never reach the platform: a checkout must not fail because of it.
	 *
	 * @param callable $listener The listener.
	 * @return callable
	 */
	private function harmless( $listener ) {
		return static function ( ...$arguments ) use ( $listener ) {
			try {
				call_user_func_array( $listener, $arguments );
			} catch ( Throwable $error ) {
				error_log( 'Lifecycle Relay: ' . $error->getMessage() ); // phpcs:ignore WordPress.PHP.DevelopmentFunctions.error_log_error_log -- The request must go on.
			}
		};
	}
}
