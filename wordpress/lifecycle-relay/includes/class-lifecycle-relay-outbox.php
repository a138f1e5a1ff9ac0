<?php
/**
 * The table of events that the relay has not acknowledged yet.
 *
 * @package Lifecycle_Relay
 */

defined( 'ABSPATH' ) || exit;

/**
 * Rows go from `held` (the request still runs) to `pending`, `sending`, and away; or to `refused`.
 *
 * `available_at` (seconds since 1970) says when a row may be taken: for a held or sending row that
 * is when its process must be dead. Every change of owner is one UPDATE that names the state it
 * expects, so two processes never own one row.
 */
class Lifecycle_Relay_Outbox {

	const VERSION        = '1';
	const VERSION_OPTION = 'lifecycle_relay_outbox_version';
	const DROPPED_OPTION = 'lifecycle_relay_dropped';

	/** Seconds after which the process that holds or sends a row is taken for dead. */
	const LEASE = 120;

	/** Seconds that a refused event is shown. */
	const KEEP_REFUSED = 2592000;

	/** Most rows; LIFECYCLE_RELAY_OUTBOX_LIMIT sets another number. */
	const LIMIT = 50000;

	/**
	 * The table's name.
	 *
	 * @return string
	 */
	public function table() {
		global $wpdb;
		return $wpdb->base_prefix . 'lifecycle_relay_outbox';
	}

	/**
	 * Makes the table when this version has not made it yet.
	 */
	public function install() {
		global $wpdb;
		if ( self::VERSION === get_site_option( self::VERSION_OPTION ) ) {
			return;
		}
		require_once ABSPATH . 'wp-admin/includes/upgrade.php';
		$collate = $wpdb->get_charset_collate();
		dbDelta(
			"CREATE TABLE {$this->table()} (
				id bigint(20) unsigned NOT NULL auto_increment,
				event_id varchar(36) NOT NULL,
				type varchar(64) NOT NULL,
				body longtext NOT NULL,
				state varchar(8) NOT NULL,
				claim varchar(36) NOT NULL default '',
				attempts int(10) unsigned NOT NULL default 0,
				available_at bigint(20) unsigned NOT NULL,
				created_at bigint(20) unsigned NOT NULL,
				last_error varchar(255) NOT NULL default '',
				PRIMARY KEY  (id),
				UNIQUE KEY event_id (event_id),
				KEY ready (state,available_at)
			) {$collate};"
		);
		update_site_option( self::VERSION_OPTION, self::VERSION );
	}

	/**
	 * Stores an event whose request still runs.
	 *
	 * @param string $event_id Its id.
	 * @param string $type     Its type.
	 * @param string $body     The envelope, in ASCII.
	 * @return int The row; 0 when it could not be stored.
	 */
	public function hold( $event_id, $type, $body ) {
		global $wpdb;
		$row    = array(
			'event_id'     => $event_id,
			'type'         => $type,
			'body'         => $body,
			'state'        => 'held',
			'available_at' => time() + self::LEASE,
			'created_at'   => time(),
		);
		$forms  = array( '%s', '%s', '%s', '%s', '%d', '%d' );
		$stored = $wpdb->insert( $this->table(), $row, $forms );
		if ( ! $stored ) {
			// The table may be gone, for example after a partial restore of the database.
			delete_site_option( self::VERSION_OPTION );
			$this->install();
			$stored = $wpdb->insert( $this->table(), $row, $forms );
		}
		return $stored ? (int) $wpdb->insert_id : 0;
	}

	/**
	 * Gives a held event another body.
	 *
	 * @param int    $id   The row.
	 * @param string $body The envelope.
	 * @return bool False when the row is not held any more.
	 */
	public function rewrite( $id, $body ) {
		// The lease starts anew, which also makes sure that MySQL counts the row as changed.
		return $this->change( 'body = %s, available_at = available_at + 1 WHERE id = %d AND state = %s', array( $body, $id, 'held' ) );
	}

	/**
	 * Removes a held event.
	 *
	 * @param int $id The row.
	 */
	public function withdraw( $id ) {
		$this->remove( 'id = %d AND state = %s', array( $id, 'held' ) );
	}

	/**
	 * Lets a held event be sent.
	 *
	 * @param int $id The row.
	 */
	public function release( $id ) {
		$this->change( 'state = %s, available_at = %d WHERE id = %d AND state = %s', array( 'pending', time(), $id, 'held' ) );
	}

	/**
	 * Takes the oldest event that is due.
	 *
	 * @return object|null The row, with its claim.
	 */
	public function claim() {
		global $wpdb;
		$now = time();
		// phpcs:disable WordPress.DB.PreparedSQL.InterpolatedNotPrepared -- The table's name has no user's part.
		$due = $wpdb->get_results(
			$wpdb->prepare( "SELECT id, state FROM {$this->table()} WHERE state IN ('held', 'pending', 'sending') AND available_at <= %d ORDER BY id LIMIT 20", $now )
		);
		foreach ( (array) $due as $row ) {
			$claim = wp_generate_uuid4();
			$taken = $this->change(
				'state = %s, claim = %s, attempts = attempts + 1, available_at = %d WHERE id = %d AND state = %s AND available_at <= %d',
				array( 'sending', $claim, $now + self::LEASE, $row->id, $row->state, $now )
			);
			if ( $taken ) {
				return $wpdb->get_row( $wpdb->prepare( "SELECT * FROM {$this->table()} WHERE id = %d AND claim = %s", $row->id, $claim ) );
			}
		}
		// phpcs:enable
		return null;
	}

	/**
	 * Forgets an event that the relay acknowledged.
	 *
	 * @param object $row The claimed row.
	 */
	public function acknowledged( $row ) {
		$this->remove( 'id = %d AND claim = %s', array( $row->id, $row->claim ) );
	}

	/**
	 * Puts a claimed event back.
	 *
	 * @param object $row   The claimed row.
	 * @param int    $delay Seconds until it is due again.
	 * @param string $error What went wrong.
	 */
	public function postpone( $row, $delay, $error ) {
		$this->settle( $row, 'pending', time() + $delay, $error );
	}

	/**
	 * Keeps an event that the relay will never take, to be shown.
	 *
	 * @param object $row   The claimed row.
	 * @param string $error What the relay said.
	 */
	public function refused( $row, $error ) {
		$this->settle( $row, 'refused', time() + self::KEEP_REFUSED, $error );
	}

	/**
	 * Makes every waiting event due now.
	 */
	public function hurry() {
		$this->change( 'available_at = %d WHERE state = %s AND available_at > %d', array( time(), 'pending', time() ) );
	}

	/**
	 * Removes refused events that were shown long enough, and the oldest where there are too many.
	 */
	public function purge() {
		global $wpdb;
		$this->remove( 'state = %s AND available_at <= %d', array( 'refused', time() ) );
		$limit  = defined( 'LIFECYCLE_RELAY_OUTBOX_LIMIT' ) ? max( 1, (int) LIFECYCLE_RELAY_OUTBOX_LIMIT ) : self::LIMIT;
		$excess = array_sum( $this->counts() ) - $limit;
		if ( $excess <= 0 ) {
			return;
		}
		// phpcs:disable WordPress.DB.PreparedSQL.InterpolatedNotPrepared -- The table's name has no user's part.
		$doomed = $wpdb->get_results(
			$wpdb->prepare( "SELECT id, state FROM {$this->table()} WHERE state IN ('refused', 'pending') ORDER BY CASE WHEN state = 'refused' THEN 0 ELSE 1 END, id LIMIT %d", $excess )
		);
		// phpcs:enable
		$dropped = 0;
		foreach ( (array) $doomed as $row ) {
			$gone     = $this->remove( 'id = %d AND state = %s', array( $row->id, $row->state ) );
			$dropped += $gone && 'pending' === $row->state ? 1 : 0;
		}
		if ( $dropped > 0 ) {
			update_site_option( self::DROPPED_OPTION, $dropped + (int) get_site_option( self::DROPPED_OPTION, 0 ) );
		}
	}

	/**
	 * How many rows there are in each state.
	 *
	 * @return int[] By state.
	 */
	public function counts() {
		global $wpdb;
		$counts = array();
		// phpcs:ignore WordPress.DB.PreparedSQL.InterpolatedNotPrepared -- The table's name has no user's part.
		foreach ( (array) $wpdb->get_results( "SELECT state, COUNT(*) AS number FROM {$this->table()} GROUP BY state" ) as $row ) {
			$counts[ $row->state ] = (int) $row->number;
		}
		return $counts;
	}

	/**
	 * When the next event is due.
	 *
	 * @return int|null Seconds since 1970; null when nothing waits.
	 */
	public function next_due() {
		global $wpdb;
		// phpcs:ignore WordPress.DB.PreparedSQL.InterpolatedNotPrepared -- The table's name has no user's part.
		$due = $wpdb->get_var( "SELECT MIN(available_at) FROM {$this->table()} WHERE state IN ('held', 'pending', 'sending')" );
		return null === $due ? null : (int) $due;
	}

	/**
	 * The latest rows with an error.
	 *
	 * @param int $number Most rows.
	 * @return object[]
	 */
	public function troubled( $number ) {
		global $wpdb;
		// phpcs:ignore WordPress.DB.PreparedSQL.InterpolatedNotPrepared -- The table's name has no user's part.
		return (array) $wpdb->get_results( $wpdb->prepare( "SELECT event_id, type, state, attempts, available_at, last_error FROM {$this->table()} WHERE last_error <> '' ORDER BY id DESC LIMIT %d", $number ) );
	}

	/**
	 * Ends a claim.
	 *
	 * @param object $row          The claimed row.
	 * @param string $state        Its state from now on.
	 * @param int    $available_at See the class.
	 * @param string $error        What went wrong.
	 */
	private function settle( $row, $state, $available_at, $error ) {
		$this->change(
			"state = %s, available_at = %d, last_error = %s, claim = '' WHERE id = %d AND claim = %s",
			array( $state, $available_at, mb_substr( $error, 0, 250 ), $row->id, $row->claim )
		);
	}

	/**
	 * Runs an UPDATE.
	 *
	 * @param string $rest   What stands behind SET, with placeholders.
	 * @param array  $values Their values.
	 * @return bool Whether a row was changed.
	 */
	private function change( $rest, array $values ) {
		global $wpdb;
		return $wpdb->query( $wpdb->prepare( "UPDATE {$this->table()} SET {$rest}", $values ) ) > 0; // phpcs:ignore WordPress.DB.PreparedSQL -- The texts are this class's own.
	}

	/**
	 * Runs a DELETE.
	 *
	 * @param string $where  What stands behind WHERE, with placeholders.
	 * @param array  $values Their values.
	 * @return bool Whether a row was removed.
	 */
	private function remove( $where, array $values ) {
		global $wpdb;
		return $wpdb->query( $wpdb->prepare( "DELETE FROM {$this->table()} WHERE {$where}", $values ) ) > 0; // phpcs:ignore WordPress.DB.PreparedSQL -- The texts are this class's own.
	}
}
