<?php
/**
 * What the plugin says about itself over REST, so that the relay's set-up finds it.
 *
 * @package Lifecycle_Relay
 */

defined( 'ABSPATH' ) || exit;

/**
 * Answers GET /wp-json/lifecycle-relay/v1/status on the main site.
 *
 * Anybody may ask: the answer holds the version and whether there is an address and a secret, and
 * neither of the two.
 */
class Lifecycle_Relay_Status {

	const ROUTE_NAMESPACE = 'lifecycle-relay/v1';
	const ROUTE           = '/status';

	/**
	 * The plugin's settings.
	 *
	 * @var Lifecycle_Relay_Settings
	 */
	private $settings;

	/**
	 * Keeps what it speaks of.
	 *
	 * @param Lifecycle_Relay_Settings $settings Where the relay is.
	 */
	public function __construct( Lifecycle_Relay_Settings $settings ) {
		$this->settings = $settings;
	}

	/**
	 * Puts the route on its hook.
	 */
	public function register() {
		add_action( 'rest_api_init', array( $this, 'register_route' ) );
	}

	/**
	 * Registers the route, on the main site only.
	 */
	public function register_route() {
		if ( ! is_main_site() ) {
			return;
		}
		register_rest_route(
			self::ROUTE_NAMESPACE,
			self::ROUTE,
			array(
				'methods'             => 'GET',
				'callback'            => array( $this, 'answer' ),
				'permission_callback' => '__return_true',
			)
		);
	}

	/**
	 * The answer.
	 *
	 * @return array
	 */
	public function answer() {
		return array(
			'plugin'     => 'lifecycle-relay',
			'version'    => LIFECYCLE_RELAY_VERSION,
			'configured' => $this->settings->is_complete(),
		);
	}
}
