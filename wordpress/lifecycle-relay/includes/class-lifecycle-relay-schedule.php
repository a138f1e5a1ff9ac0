<?php
/**
 * When events are sent: after the response, and again from the schedule.
 *
 * @package Lifecycle_Relay
 */

defined( 'ABSPATH' ) || exit;

/**
 * Never sends while a visitor waits for the response.
 */
class Lifecycle_Relay_Schedule {

	const HOOK     = 'lifecycle_relay_send';
	const INTERVAL = 'lifecycle_relay_minute';

	/**
	 * The sender.
	 *
	 * @var Lifecycle_Relay_Sender
	 */
	private $sender;

	/**
	 * The outbox.
	 *
	 * @var Lifecycle_Relay_Outbox
	 */
	private $outbox;

	/**
	 * The recorder.
	 *
	 * @var Lifecycle_Relay_Recorder
	 */
	private $recorder;

	/**
	 * Takes what it drives.
	 *
	 * @param Lifecycle_Relay_Sender   $sender   The sender.
	 * @param Lifecycle_Relay_Outbox   $outbox   The outbox.
	 * @param Lifecycle_Relay_Recorder $recorder The recorder.
	 */
	public function __construct( Lifecycle_Relay_Sender $sender, Lifecycle_Relay_Outbox $outbox, Lifecycle_Relay_Recorder $recorder ) {
		$this->sender   = $sender;
		$this->outbox   = $outbox;
		$this->recorder = $recorder;
	}

	/**
	 * Puts itself on the hooks.
	 */
	public function register() {
		add_filter( 'cron_schedules', array( $this, 'intervals' ) ); // phpcs:ignore WordPress.WP.CronInterval.CronSchedulesInterval -- The run is one query when nothing waits.
		add_action( 'init', array( $this, 'ensure' ) );
		add_action( self::HOOK, array( $this, 'run' ) );
		add_action( 'shutdown', array( $this, 'after_response' ), 1000 );
	}

	/**
	 * Adds the interval of the schedule.
	 *
	 * @param array $intervals The known ones.
	 * @return array
	 */
	public function intervals( $intervals ) {
		$intervals[ self::INTERVAL ] = array(
			'interval' => MINUTE_IN_SECONDS,
			'display'  => 'Lifecycle Relay',
		);
		return $intervals;
	}

	/**
	 * Schedules the run on the main site; a must-use plugin has no activation to do it in.
	 */
	public function ensure() {
		if ( is_main_site() && ! wp_next_scheduled( self::HOOK ) ) {
			wp_schedule_event( time() + MINUTE_IN_SECONDS, self::INTERVAL, self::HOOK );
		}
	}

	/**
	 * A run of the schedule.
	 */
	public function run() {
		try {
			$this->sender->run();
			$this->outbox->purge();
			$this->call_again();
		} catch ( Throwable $error ) {
			error_log( 'Lifecycle Relay: ' . $error->getMessage() ); // phpcs:ignore WordPress.PHP.DevelopmentFunctions.error_log_error_log -- Nobody sees a cron run.
		}
	}

	/**
	 * Lets the request's events go, and sends them when nobody waits any more.
	 */
	public function after_response() {
		try {
			if ( ! $this->recorder->release() ) {
				return;
			}
			if ( $this->finish_response() ) {
				$this->run();
			} else {
				$this->hand_over();
			}
		} catch ( Throwable $error ) {
			error_log( 'Lifecycle Relay: ' . $error->getMessage() ); // phpcs:ignore WordPress.PHP.DevelopmentFunctions.error_log_error_log -- The response is out already.
		}
	}

	/**
	 * Ends the response, so that the visitor does not wait.
	 *
	 * @return bool False where this server cannot.
	 */
	private function finish_response() {
		ignore_user_abort( true );
		foreach ( array( 'fastcgi_finish_request', 'litespeed_finish_request' ) as $finish ) {
			if ( function_exists( $finish ) ) {
				if ( PHP_SESSION_ACTIVE === session_status() ) {
					session_write_close();
				}
				$finish();
				return true;
			}
		}
		return 'cli' === PHP_SAPI || wp_doing_cron();
	}

	/**
	 * Has another process send: Action Scheduler's, or WP-Cron's.
	 */
	private function hand_over() {
		if ( function_exists( 'as_enqueue_async_action' ) ) {
			as_enqueue_async_action( self::HOOK, array(), 'lifecycle-relay' );
			return;
		}
		wp_schedule_single_event( time(), self::HOOK, array( 'now' ) );
		spawn_cron();
	}

	/**
	 * Asks Action Scheduler, where there is one, to come back when the next event is due.
	 *
	 * WP-Cron comes every minute anyway.
	 */
	private function call_again() {
		$due = $this->outbox->next_due();
		if ( null === $due || ! function_exists( 'as_schedule_single_action' ) || ! function_exists( 'as_next_scheduled_action' ) ) {
			return;
		}
		if ( ! is_int( as_next_scheduled_action( self::HOOK, array(), 'lifecycle-relay' ) ) ) {
			as_schedule_single_action( max( time() + 5, $due ), self::HOOK, array(), 'lifecycle-relay' );
		}
	}
}
