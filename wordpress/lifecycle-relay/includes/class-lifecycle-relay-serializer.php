<?php
/**
 * The platform's objects as the objects of the envelope.
 *
 * @package Lifecycle_Relay
 */

defined( 'ABSPATH' ) || exit;

/**
 * Reads customers, memberships, payments, sites and domains through their getters.
 *
 * A getter that a version does not have gives null: an event with a gap is worth more than none.
 */
class Lifecycle_Relay_Serializer {

	/**
	 * The function that finds each kind of object by its id.
	 */
	const FINDERS = array(
		'customer'   => 'wu_get_customer',
		'membership' => 'wu_get_membership',
		'payment'    => 'wu_get_payment',
		'site'       => 'wu_get_site',
		'domain'     => 'wu_get_domain',
		'plan'       => 'wu_get_product',
	);

	/**
	 * An object of the platform.
	 *
	 * @param string $kind One of the keys of FINDERS.
	 * @param mixed  $id   Its id.
	 * @return object|null
	 */
	public function find( $kind, $id ) {
		$finder = self::FINDERS[ $kind ];
		if ( null === Lifecycle_Relay_Values::id( $id ) || ! function_exists( $finder ) ) {
			return null;
		}
		$found = call_user_func( $finder, (int) $id );
		return is_object( $found ) ? $found : null;
	}

	/**
	 * An object and everything it belongs to, as `data` of an envelope.
	 *
	 * @param string $kind   customer, membership, payment, site or domain.
	 * @param object $entity The object.
	 * @return array
	 */
	public function with_owners( $kind, $entity ) {
		$data  = array();
		$owner = array(
			'customer'   => null,
			'membership' => null,
			'site'       => null,
		);
		while ( null !== $entity && ! isset( $data[ $kind ] ) ) {
			$data[ $kind ] = $this->one( $kind, $entity );
			foreach ( array_keys( $owner ) as $name ) {
				$id = Lifecycle_Relay_Values::id( $this->get( $entity, 'site' === $name ? 'get_blog_id' : "get_{$name}_id" ) );
				if ( null === $owner[ $name ] ) {
					$owner[ $name ] = $id;
				}
			}
			list( $kind, $entity ) = $this->next_owner( $kind, $data, $owner );
		}
		return $data;
	}

	/**
	 * One object in the envelope's form.
	 *
	 * @param string $kind   customer, membership, payment, site, domain or plan.
	 * @param object $entity The object.
	 * @return array
	 */
	public function one( $kind, $entity ) {
		return call_user_func( array( $this, $kind ), $entity );
	}

	/**
	 * A product as a plan.
	 *
	 * @param object $product The product.
	 * @return array
	 */
	public function plan( $product ) {
		return array(
			'id'    => $this->id( $product, 'get_id' ),
			'slug'  => $this->text( $product, 'get_slug' ),
			'name'  => $this->text( $product, 'get_name' ),
			'price' => $this->amount( $product, 'get_amount' ),
		);
	}

	/**
	 * What a getter says; null when the object does not have it.
	 *
	 * @param object $entity The object.
	 * @param string $getter The method.
	 * @return mixed
	 */
	public function get( $entity, $getter ) {
		return method_exists( $entity, $getter ) ? $entity->$getter() : null;
	}

	/**
	 * The object that owns the last one: domain, site, membership, customer; payment, membership.
	 *
	 * @param string $kind  The kind of the last object.
	 * @param array  $data  The objects so far.
	 * @param array  $owner The ids that the objects named so far.
	 * @return array The kind and the object, null when there is none.
	 */
	private function next_owner( $kind, array $data, array $owner ) {
		$order = array( 'site', 'membership', 'customer' );
		$first = array_search( $kind, $order, true );
		if ( false === $first ) {
			$first = 'domain' === $kind ? -1 : 0;
		}
		foreach ( array_slice( $order, $first + 1 ) as $next ) {
			$found = isset( $data[ $next ] ) ? null : $this->find( $next, $owner[ $next ] );
			if ( null !== $found ) {
				return array( $next, $found );
			}
		}
		return array( $kind, null );
	}

	/**
	 * A customer.
	 *
	 * @param object $customer The customer.
	 * @return array
	 */
	private function customer( $customer ) {
		$user    = get_userdata( (int) $this->get( $customer, 'get_user_id' ) );
		$address = $this->get( $customer, 'get_billing_address' );
		$lines   = is_object( $address ) ? $this->get( $address, 'to_array' ) : array();
		$lines   = array_filter( array_map( array( 'Lifecycle_Relay_Values', 'text' ), is_array( $lines ) ? $lines : array() ) );
		return array(
			'id'                 => $this->id( $customer, 'get_id' ),
			'user_id'            => $this->id( $customer, 'get_user_id' ),
			'email'              => $this->text( $customer, 'get_email_address' ),
			'name'               => $this->text( $customer, 'get_display_name' ),
			'first_name'         => $user ? Lifecycle_Relay_Values::text( $user->first_name ) : null,
			'last_name'          => $user ? Lifecycle_Relay_Values::text( $user->last_name ) : null,
			'signup_date'        => $this->time( $customer, 'get_date_registered' ),
			'email_verification' => $this->text( $customer, 'get_email_verification' ),
			'company'            => isset( $lines['company_name'] ) ? $lines['company_name'] : null,
			'country'            => isset( $lines['billing_country'] ) ? $lines['billing_country'] : null,
			'billing_address'    => Lifecycle_Relay_Values::text( implode( "\n", $lines ) ),
			'manage_url'         => $this->manage_url( 'customer', $customer ),
		);
	}

	/**
	 * A membership with its plan.
	 *
	 * @param object $membership The membership.
	 * @return array
	 */
	private function membership( $membership ) {
		$plan = $this->get( $membership, 'get_plan' );
		return array(
			'id'                      => $this->id( $membership, 'get_id' ),
			'status'                  => $this->text( $membership, 'get_status' ),
			'customer_id'             => $this->id( $membership, 'get_customer_id' ),
			'plan'                    => is_object( $plan ) ? $this->plan( $plan ) : null,
			'amount'                  => $this->amount( $membership, 'get_amount' ),
			'initial_amount'          => $this->amount( $membership, 'get_initial_amount' ),
			'currency'                => $this->text( $membership, 'get_currency' ),
			'description'             => $this->text( $membership, 'get_price_description' ),
			'gateway'                 => $this->text( $membership, 'get_gateway' ),
			'gateway_customer_id'     => $this->text( $membership, 'get_gateway_customer_id' ),
			'gateway_subscription_id' => $this->text( $membership, 'get_gateway_subscription_id' ),
			'created_at'              => $this->time( $membership, 'get_date_created' ),
			'expires_at'              => $this->time( $membership, 'get_date_expiration' ),
			'cancelled_at'            => Lifecycle_Relay_Values::local_time( $this->get( $membership, 'get_date_cancellation' ) ),
			'cancellation_reason'     => $this->text( $membership, 'get_cancellation_reason' ),
			'auto_renew'              => $this->flag( $membership, 'should_auto_renew' ),
			'times_billed'            => (int) $this->get( $membership, 'get_times_billed' ),
			'reference_code'          => $this->text( $membership, 'get_hash' ),
			'manage_url'              => $this->manage_url( 'membership', $membership ),
		);
	}

	/**
	 * A payment with its lines.
	 *
	 * @param object $payment The payment.
	 * @return array
	 */
	private function payment( $payment ) {
		$found = $this->get( $payment, 'get_line_items' );
		$lines = array_map( array( $this, 'line_item' ), array_values( array_filter( is_array( $found ) ? $found : array(), 'is_object' ) ) );
		return array(
			'id'                 => $this->id( $payment, 'get_id' ),
			'status'             => $this->text( $payment, 'get_status' ),
			'customer_id'        => $this->id( $payment, 'get_customer_id' ),
			'membership_id'      => $this->id( $payment, 'get_membership_id' ),
			'total'              => $this->amount( $payment, 'get_total' ),
			'subtotal'           => $this->amount( $payment, 'get_subtotal' ),
			'tax_total'          => $this->amount( $payment, 'get_tax_total' ),
			'refund_total'       => $this->amount( $payment, 'get_refund_total' ),
			'currency'           => $this->text( $payment, 'get_currency' ),
			'product_names'      => Lifecycle_Relay_Values::text( implode( ', ', array_filter( wp_list_pluck( $lines, 'title' ) ) ) ),
			'line_items'         => $lines,
			'gateway'            => $this->text( $payment, 'get_gateway' ),
			'gateway_payment_id' => $this->text( $payment, 'get_gateway_payment_id' ),
			'created_at'         => $this->time( $payment, 'get_date_created' ),
			'reference_code'     => $this->text( $payment, 'get_hash' ),
			'manage_url'         => $this->manage_url( 'payment', $payment ),
		);
	}

	/**
	 * One line of a payment.
	 *
	 * @param object $line The line.
	 * @return array
	 */
	private function line_item( $line ) {
		return array(
			'title'      => (string) $this->text( $line, 'get_title' ),
			'quantity'   => (int) $this->get( $line, 'get_quantity' ),
			'unit_price' => $this->amount( $line, 'get_unit_price' ),
			'total'      => $this->amount( $line, 'get_total' ),
			'kind'       => $this->text( $line, 'get_type' ),
			'product_id' => $this->id( $line, 'get_product_id' ),
		);
	}

	/**
	 * A site; its id is the blog's.
	 *
	 * @param object $site The site.
	 * @return array
	 */
	private function site( $site ) {
		$blog_id = $this->id( $site, 'get_blog_id' );
		// Of a site that was deleted just now, WordPress would look for the address in a table that is gone.
		$is_there = null !== $blog_id && null !== get_site( (int) $blog_id );
		return array(
			'id'            => $blog_id,
			'title'         => $this->text( $site, 'get_title' ),
			'description'   => $this->text( $site, 'get_description' ),
			'url'           => $is_there ? Lifecycle_Relay_Values::text( get_site_url( (int) $blog_id ) ) : null,
			'admin_url'     => $is_there ? Lifecycle_Relay_Values::text( get_admin_url( (int) $blog_id ) ) : null,
			'customer_id'   => $this->id( $site, 'get_customer_id' ),
			'membership_id' => $this->id( $site, 'get_membership_id' ),
		);
	}

	/**
	 * A mapped domain.
	 *
	 * @param object $domain The domain.
	 * @return array
	 */
	private function domain( $domain ) {
		return array(
			'id'         => $this->id( $domain, 'get_id' ),
			'name'       => $this->text( $domain, 'get_domain' ),
			'site_id'    => $this->id( $domain, 'get_blog_id' ),
			'stage'      => $this->text( $domain, 'get_stage' ),
			'active'     => $this->flag( $domain, 'is_active' ),
			'primary'    => $this->flag( $domain, 'is_primary_domain' ),
			'secure'     => $this->flag( $domain, 'is_secure' ),
			'created_at' => $this->time( $domain, 'get_date_created' ),
		);
	}

	/**
	 * The page of the network's admin that shows an object.
	 *
	 * @param string $kind   customer, membership or payment.
	 * @param object $entity The object.
	 * @return string|null
	 */
	private function manage_url( $kind, $entity ) {
		$id = $this->id( $entity, 'get_id' );
		return null === $id ? null : network_admin_url( "admin.php?page=wp-ultimo-edit-{$kind}&id={$id}" );
	}

	/**
	 * A getter's id.
	 *
	 * @param object $entity The object.
	 * @param string $getter The method.
	 * @return string|null
	 */
	private function id( $entity, $getter ) {
		return Lifecycle_Relay_Values::id( $this->get( $entity, $getter ) );
	}

	/**
	 * A getter's text.
	 *
	 * @param object $entity The object.
	 * @param string $getter The method.
	 * @return string|null
	 */
	private function text( $entity, $getter ) {
		return Lifecycle_Relay_Values::text( $this->get( $entity, $getter ) );
	}

	/**
	 * A getter's amount.
	 *
	 * @param object $entity The object.
	 * @param string $getter The method.
	 * @return string|null
	 */
	private function amount( $entity, $getter ) {
		return Lifecycle_Relay_Values::amount( $this->get( $entity, $getter ) );
	}

	/**
	 * A getter's time.
	 *
	 * @param object $entity The object.
	 * @param string $getter The method.
	 * @return string|null
	 */
	private function time( $entity, $getter ) {
		return Lifecycle_Relay_Values::time( $this->get( $entity, $getter ) );
	}

	/**
	 * A getter's yes or no.
	 *
	 * @param object $entity The object.
	 * @param string $getter The method.
	 * @return bool|null
	 */
	private function flag( $entity, $getter ) {
		$value = $this->get( $entity, $getter );
		return null === $value ? null : (bool) $value;
	}
}
