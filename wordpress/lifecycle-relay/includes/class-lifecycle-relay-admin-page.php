<?php
/**
 * The page in the network's admin.
 *
 * @package Lifecycle_Relay
 */

defined( 'ABSPATH' ) || exit;

/**
 * Shows the outbox, and takes the settings; the secret goes in and never comes out.
 */
class Lifecycle_Relay_Admin_Page {

	const SLUG       = 'lifecycle-relay';
	const CAPABILITY = 'manage_network_options';

	/**
	 * The settings.
	 *
	 * @var Lifecycle_Relay_Settings
	 */
	private $settings;

	/**
	 * The outbox.
	 *
	 * @var Lifecycle_Relay_Outbox
	 */
	private $outbox;

	/**
	 * The sender.
	 *
	 * @var Lifecycle_Relay_Sender
	 */
	private $sender;

	/**
	 * The recorder.
	 *
	 * @var Lifecycle_Relay_Recorder
	 */
	private $recorder;

	/**
	 * Takes what it shows.
	 *
	 * @param Lifecycle_Relay_Settings $settings The settings.
	 * @param Lifecycle_Relay_Outbox   $outbox   The outbox.
	 * @param Lifecycle_Relay_Sender   $sender   The sender.
	 * @param Lifecycle_Relay_Recorder $recorder The recorder.
	 */
	public function __construct( Lifecycle_Relay_Settings $settings, Lifecycle_Relay_Outbox $outbox, Lifecycle_Relay_Sender $sender, Lifecycle_Relay_Recorder $recorder ) {
		$this->settings = $settings;
		$this->outbox   = $outbox;
		$this->sender   = $sender;
		$this->recorder = $recorder;
	}

	/**
	 * Puts itself on the hooks.
	 */
	public function register() {
		add_action( 'network_admin_menu', array( $this, 'menu' ) );
		add_action( 'network_admin_edit_lifecycle_relay_save', array( $this, 'save' ) );
		add_action( 'network_admin_edit_lifecycle_relay_send', array( $this, 'send' ) );
		add_action( 'network_admin_edit_lifecycle_relay_test', array( $this, 'test' ) );
	}

	/**
	 * Adds the page under the network's settings.
	 */
	public function menu() {
		add_submenu_page( 'settings.php', __( 'Lifecycle Relay', 'lifecycle-relay' ), __( 'Lifecycle Relay', 'lifecycle-relay' ), self::CAPABILITY, self::SLUG, array( $this, 'show' ) );
	}

	/**
	 * Stores the settings.
	 */
	public function save() {
		$this->authorize( 'lifecycle_relay_save' );
		// phpcs:disable WordPress.Security.NonceVerification.Missing -- Checked by authorize().
		$changes = array( 'capture' => ! empty( $_POST['capture'] ) );
		$url     = isset( $_POST['url'] ) ? esc_url_raw( trim( wp_unslash( $_POST['url'] ) ) ) : '';
		$secret  = isset( $_POST['secret'] ) ? trim( sanitize_text_field( wp_unslash( $_POST['secret'] ) ) ) : '';
		// phpcs:enable
		$notice = 'saved';
		if ( ! $this->settings->is_constant( 'url' ) ) {
			if ( '' === $url || Lifecycle_Relay_Settings::is_url( $url ) ) {
				$changes['url'] = $url;
			} else {
				$notice = 'bad_url';
			}
		}
		if ( '' !== $secret && ! $this->settings->is_constant( 'secret' ) ) {
			if ( Lifecycle_Relay_Settings::is_secret( $secret ) ) {
				$changes['secret'] = $secret;
			} else {
				$notice = 'bad_secret';
			}
		}
		$this->settings->store( $changes );
		$this->back( $notice );
	}

	/**
	 * Sends what waits.
	 */
	public function send() {
		$this->authorize( 'lifecycle_relay_send' );
		$this->outbox->hurry();
		$this->back( 'sent', $this->sender->run() );
	}

	/**
	 * Sends a test event, which the relay keeps away from CRMs and analytics.
	 */
	public function test() {
		$this->authorize( 'lifecycle_relay_test' );
		$customer = array(
			'name'  => 'Lifecycle Relay',
			'email' => 'test@lifecycle-relay.example',
		);
		$this->recorder->record( 'customer_post_update', 'test', array( 'customer' => $customer ), true );
		$this->recorder->release();
		$this->back( 'sent', $this->sender->run() );
	}

	/**
	 * Shows the page.
	 */
	public function show() {
		if ( ! current_user_can( self::CAPABILITY ) ) {
			return;
		}
		echo '<div class="wrap"><h1>' . esc_html__( 'Lifecycle Relay', 'lifecycle-relay' ) . '</h1>';
		$this->show_notice();
		$this->show_state();
		$this->show_settings();
		echo '</div>';
	}

	/**
	 * Ends a request that may not do what it asks for.
	 *
	 * @param string $action The action of the nonce.
	 */
	private function authorize( $action ) {
		if ( ! current_user_can( self::CAPABILITY ) ) {
			wp_die( esc_html__( 'You are not allowed to do this.', 'lifecycle-relay' ), '', array( 'response' => 403 ) );
		}
		check_admin_referer( $action );
	}

	/**
	 * Goes back to the page.
	 *
	 * @param string $notice What happened.
	 * @param int    $number How many events were sent.
	 */
	private function back( $notice, $number = 0 ) {
		$query = array(
			'page'   => self::SLUG,
			'notice' => $notice,
			'number' => $number,
		);
		wp_safe_redirect( add_query_arg( $query, network_admin_url( 'settings.php' ) ) );
		$this->finish();
	}

	/**
	 * Ends the request.
	 */
	private function finish() {
		exit;
	}

	/**
	 * Says what the last action did.
	 */
	private function show_notice() {
		// phpcs:disable WordPress.Security.NonceVerification.Recommended -- Only chooses a text.
		$notice = isset( $_GET['notice'] ) ? sanitize_key( wp_unslash( $_GET['notice'] ) ) : '';
		$number = isset( $_GET['number'] ) ? absint( $_GET['number'] ) : 0;
		// phpcs:enable
		$texts = array(
			'saved'      => __( 'The settings are stored.', 'lifecycle-relay' ),
			'bad_url'    => __( 'The URL must begin with https:// or http://.', 'lifecycle-relay' ),
			'bad_secret' => __( 'The secret must be whsec_ and base64, as the relay showed it.', 'lifecycle-relay' ),
			/* translators: %d: number of events. */
			'sent'       => sprintf( __( 'Events that the relay acknowledged: %d.', 'lifecycle-relay' ), $number ),
		);
		if ( isset( $texts[ $notice ] ) ) {
			echo '<div class="notice notice-info"><p>' . esc_html( $texts[ $notice ] ) . '</p></div>';
		}
	}

	/**
	 * Shows the outbox.
	 */
	private function show_state() {
		$counts  = $this->outbox->counts();
		$refused = isset( $counts['refused'] ) ? $counts['refused'] : 0;
		$error   = get_site_option( Lifecycle_Relay_Sender::LAST_ERROR_OPTION );
		$rows    = array(
			__( 'Events that wait', 'lifecycle-relay' )     => number_format_i18n( array_sum( $counts ) - $refused ),
			__( 'Refused events', 'lifecycle-relay' )       => number_format_i18n( $refused ),
			__( 'Dropped, since the outbox was full', 'lifecycle-relay' ) => number_format_i18n( (int) get_site_option( Lifecycle_Relay_Outbox::DROPPED_OPTION, 0 ) ),
			__( 'Last error', 'lifecycle-relay' )           => is_array( $error ) ? gmdate( 'Y-m-d H:i:s', (int) $error['time'] ) . ' UTC: ' . $error['text'] : '–',
		);
		echo '<table class="widefat striped"><tbody>';
		foreach ( $rows as $name => $value ) {
			echo '<tr><th scope="row">' . esc_html( $name ) . '</th><td>' . esc_html( $value ) . '</td></tr>';
		}
		foreach ( $this->outbox->troubled( 10 ) as $row ) {
			echo '<tr><th scope="row"><code>' . esc_html( $row->event_id ) . '</code></th><td>' . esc_html( "{$row->type}, {$row->state}, {$row->attempts}: {$row->last_error}" ) . '</td></tr>';
		}
		echo '</tbody></table><p>';
		$this->button( 'lifecycle_relay_send', __( 'Send now', 'lifecycle-relay' ) );
		$this->button( 'lifecycle_relay_test', __( 'Send a test event', 'lifecycle-relay' ) );
		echo '</p>';
	}

	/**
	 * Shows a form that is only a button.
	 *
	 * @param string $action What it does.
	 * @param string $label  What stands on it.
	 */
	private function button( $action, $label ) {
		echo '<form method="post" style="display:inline" action="' . esc_url( network_admin_url( "edit.php?action={$action}" ) ) . '">';
		wp_nonce_field( $action );
		echo '<button class="button">' . esc_html( $label ) . '</button></form> ';
	}

	/**
	 * Shows the settings; the secret's field is always empty.
	 */
	private function show_settings() {
		$url_fixed    = $this->settings->is_constant( 'url' );
		$secret_fixed = $this->settings->is_constant( 'secret' );
		$secret_state = '' === $this->settings->key() ? __( 'not set', 'lifecycle-relay' ) : __( 'set; leave empty to keep it', 'lifecycle-relay' );
		echo '<form method="post" action="' . esc_url( network_admin_url( 'edit.php?action=lifecycle_relay_save' ) ) . '">';
		wp_nonce_field( 'lifecycle_relay_save' );
		echo '<table class="form-table"><tr><th><label for="lr-url">' . esc_html__( 'URL of the source', 'lifecycle-relay' ) . '</label></th><td>';
		echo '<input id="lr-url" class="regular-text" type="url" name="url" value="' . esc_attr( $this->settings->url() ) . '"' . ( $url_fixed ? ' disabled' : '' ) . '></td></tr>';
		echo '<tr><th><label for="lr-secret">' . esc_html__( 'Signing secret', 'lifecycle-relay' ) . '</label></th><td>';
		echo '<input id="lr-secret" class="regular-text" type="password" autocomplete="new-password" name="secret" value="" placeholder="' . esc_attr( $secret_state ) . '"' . ( $secret_fixed ? ' disabled' : '' ) . '></td></tr>';
		echo '<tr><th>' . esc_html__( 'Browser identifiers', 'lifecycle-relay' ) . '</th><td><label><input type="checkbox" name="capture" value="1"' . checked( $this->settings->captures_without_consent_api(), true, false ) . '> ';
		echo esc_html__( 'Without the WP Consent API, take every visitor of the checkout to have consented to analytics and marketing.', 'lifecycle-relay' ) . '</label></td></tr></table>';
		submit_button();
		echo '</form>';
	}
}
