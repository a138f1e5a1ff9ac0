<?php
/**
 * Stand-ins for the objects of Ultimate Multisite, with the getters that its classes have.
 *
 * An undefined method is fatal here as it is there.
 *
 * @package Lifecycle_Relay
 */

// phpcs:disable -- Stand-ins have the platform's own names.

abstract class Standin_Model {
	protected $data;
	public function __construct( array $data ) {
		$this->data = $data;
	}
	public function set( array $changes ) {
		$this->data = array_merge( $this->data, $changes );
	}
	protected function of( $name, $default = null ) {
		return $this->data[ $name ] ?? $default;
	}
	public function get_id() {
		return $this->of( 'id', 0 );
	}
	public function get_hash() {
		return $this->of( 'hash' );
	}
	public function get_date_created() {
		return $this->of( 'date_created' );
	}
	public function get_meta( $key, $default = false ) {
		return get_site_option( $this->meta_name( $key ), $default );
	}
	public function update_meta( $key, $value ) {
		update_site_option( $this->meta_name( $key ), $value );
		return true;
	}
	private function meta_name( $key ) {
		return 'meta_' . static::class . "_{$this->get_id()}_{$key}";
	}
}

class Standin_Address {
	private $lines;
	public function __construct( array $lines ) {
		$this->lines = $lines;
	}
	public function to_array( $labels = false ) {
		return $this->lines;
	}
}

class Standin_Customer extends Standin_Model {
	public function get_user_id() { return $this->of( 'user_id' ); }
	public function get_email_address() { return $this->of( 'email' ); }
	public function get_display_name() { return $this->of( 'display_name' ); }
	public function get_date_registered() { return $this->of( 'date_registered' ); }
	public function get_email_verification() { return $this->of( 'email_verification' ); }
	public function get_billing_address() { return new Standin_Address( $this->of( 'billing_address', array() ) ); }
}

class Standin_Product extends Standin_Model {
	public function get_slug() { return $this->of( 'slug' ); }
	public function get_name() { return $this->of( 'name' ); }
	public function get_amount() { return $this->of( 'amount' ); }
}

class Standin_Membership extends Standin_Model {
	public function get_status() { return $this->of( 'status' ); }
	public function get_customer_id() { return $this->of( 'customer_id' ); }
	public function get_plan_id() { return $this->of( 'plan_id' ); }
	public function get_plan() { return wu_get_product( $this->of( 'plan_id' ) ); }
	public function get_amount() { return $this->of( 'amount' ); }
	public function get_initial_amount() { return $this->of( 'initial_amount' ); }
	public function get_currency() { return $this->of( 'currency' ); }
	public function get_price_description() { return $this->of( 'description' ); }
	public function get_gateway() { return $this->of( 'gateway' ); }
	public function get_gateway_customer_id() { return $this->of( 'gateway_customer_id' ); }
	public function get_gateway_subscription_id() { return $this->of( 'gateway_subscription_id' ); }
	public function get_date_expiration() { return $this->of( 'date_expiration' ); }
	public function get_date_cancellation() { return $this->of( 'date_cancellation' ); }
	public function get_cancellation_reason() { return $this->of( 'cancellation_reason', false ); }
	public function should_auto_renew() { return (bool) $this->of( 'auto_renew' ); }
	public function get_times_billed() { return $this->of( 'times_billed' ); }
}

class Standin_Line_Item extends Standin_Model {
	public function get_title() { return $this->of( 'title' ); }
	public function get_quantity() { return $this->of( 'quantity' ); }
	public function get_unit_price() { return $this->of( 'unit_price' ); }
	public function get_total() { return $this->of( 'total' ); }
	public function get_type() { return $this->of( 'type' ); }
	public function get_product_id() { return $this->of( 'product_id' ); }
}

class Standin_Payment extends Standin_Model {
	public function get_status() { return $this->of( 'status' ); }
	public function get_customer_id() { return $this->of( 'customer_id' ); }
	public function get_membership_id() { return $this->of( 'membership_id' ); }
	public function get_total() { return $this->of( 'total' ); }
	public function get_subtotal() { return $this->of( 'subtotal' ); }
	public function get_tax_total() { return $this->of( 'tax_total' ); }
	public function get_refund_total() { return $this->of( 'refund_total' ); }
	public function get_currency() { return $this->of( 'currency' ); }
	public function get_gateway() { return $this->of( 'gateway' ); }
	public function get_gateway_payment_id() { return $this->of( 'gateway_payment_id' ); }
	public function get_line_items() {
		$items = array();
		foreach ( $this->of( 'line_items', array() ) as $number => $item ) {
			$items[ "LN_{$number}" ] = new Standin_Line_Item( $item );
		}
		return $items;
	}
}

class Standin_Site extends Standin_Model {
	public function get_blog_id() { return $this->of( 'blog_id' ); }
	public function get_title() { return $this->of( 'title' ); }
	public function get_description() { return $this->of( 'description' ); }
	public function get_customer_id() { return $this->of( 'customer_id' ); }
	public function get_membership_id() { return $this->of( 'membership_id' ); }
	public function get_path() { return $this->of( 'path' ); }
}

class Standin_Domain extends Standin_Model {
	public function get_domain() { return $this->of( 'domain' ); }
	public function get_blog_id() { return $this->of( 'blog_id' ); }
	public function get_stage() { return $this->of( 'stage' ); }
	public function is_active() { return (bool) $this->of( 'active' ); }
	public function is_primary_domain() { return (bool) $this->of( 'primary_domain' ); }
	public function is_secure() { return (bool) $this->of( 'secure' ); }
}

class Standin_Gateway {
	private $id;
	public function __construct( $id ) {
		$this->id = $id;
	}
	public function get_id() {
		return $this->id;
	}
}

$standin_objects = array();

function standin_object( $kind, $id ) {
	return $GLOBALS['standin_objects'][ $kind ][ (string) $id ] ?? false;
}
function wu_get_customer( $id ) { return standin_object( 'customer', $id ); }
function wu_get_membership( $id ) { return standin_object( 'membership', $id ); }
function wu_get_payment( $id ) { return standin_object( 'payment', $id ); }
function wu_get_site( $id ) { return standin_object( 'site', $id ); }
function wu_get_domain( $id ) { return standin_object( 'domain', $id ); }
function wu_get_product( $id ) { return standin_object( 'product', $id ); }
function wu_get_version() { return '2.4.13-beta.1'; }
