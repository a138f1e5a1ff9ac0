<?php
/**
 * Recognises what the relay itself writes.
 *
 * @package Lifecycle_Relay
 */

defined( 'ABSPATH' ) || exit;

/**
 * A REST request that only sets the relay's own meta saves the whole object, and would come back
 * as an update: for such an object, saves cause no event while the request runs.
 */
class Lifecycle_Relay_Loop_Guard {

	const ROUTE = '#^/wu/v2/(customer|membership)/(\d+)/?$#D';

	/** What the relay writes: the id of the contact, or of the deal, also one per CRM. */
	const META_KEY = '/^crm_(contact|deal)_id(_[a-z0-9_-]+)?$/D';

	/** What may stand beside `meta`: the route's id and the credentials. */
	const NOT_FIELDS = array( 'id', 'api_key', 'api_secret', 'api-key', 'api-secret', '_locale', 'rest_route' );

	/**
	 * The guarded objects, the innermost request's last.
	 *
	 * @var string[]
	 */
	private $guarded = array();

	/**
	 * Puts itself around every REST request.
	 */
	public function register() {
		add_filter( 'rest_request_before_callbacks', array( $this, 'before' ), 10, 3 );
		add_filter( 'rest_request_after_callbacks', array( $this, 'after' ), 10, 3 );
	}

	/**
	 * Whether saves of an object come from the relay.
	 *
	 * @param string $subject Such as `customer/2`.
	 * @return bool
	 */
	public function covers( $subject ) {
		return in_array( $subject, $this->guarded, true );
	}

	/**
	 * Begins to guard.
	 *
	 * @param mixed           $response What to answer.
	 * @param array           $handler  Who answers.
	 * @param WP_REST_Request $request  The request.
	 * @return mixed The response as it was.
	 */
	public function before( $response, $handler, $request ) {
		$subject = $this->written_back( $request );
		if ( null !== $subject ) {
			$this->guarded[] = $subject;
		}
		return $response;
	}

	/**
	 * Ends to guard.
	 *
	 * @param mixed           $response What to answer.
	 * @param array           $handler  Who answered.
	 * @param WP_REST_Request $request  The request.
	 * @return mixed The response as it was.
	 */
	public function after( $response, $handler, $request ) {
		$place = array_search( $this->written_back( $request ), $this->guarded, true );
		if ( false !== $place ) {
			unset( $this->guarded[ $place ] );
		}
		return $response;
	}

	/**
	 * The object that a request writes the relay's meta to.
	 *
	 * @param WP_REST_Request $request The request.
	 * @return string|null Null when the request does anything else.
	 */
	private function written_back( $request ) {
		if ( ! in_array( $request->get_method(), array( 'POST', 'PUT', 'PATCH' ), true ) || 1 !== preg_match( self::ROUTE, $request->get_route(), $found ) ) {
			return null;
		}
		$fields = array_merge( (array) $request->get_query_params(), (array) $request->get_body_params(), (array) $request->get_json_params() );
		$fields = array_diff_key( $fields, array_flip( self::NOT_FIELDS ) );
		if ( array( 'meta' ) !== array_keys( $fields ) || ! is_array( $fields['meta'] ) || array() === $fields['meta'] ) {
			return null;
		}
		foreach ( array_keys( $fields['meta'] ) as $name ) {
			if ( 1 !== preg_match( self::META_KEY, (string) $name ) ) {
				return null;
			}
		}
		return "{$found[1]}/{$found[2]}";
	}
}
