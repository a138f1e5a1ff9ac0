<?php
/**
 * The envelope's forms of ids, amounts, times and texts.
 *
 * @package Lifecycle_Relay
 */

defined( 'ABSPATH' ) || exit;

/**
 * Turns what the platform's objects hold into what the envelope says; null for what is not known.
 */
class Lifecycle_Relay_Values {

	/**
	 * An id as a string; 0 is none.
	 *
	 * @param mixed $value An integer or a numeric string.
	 * @return string|null
	 */
	public static function id( $value ) {
		return is_numeric( $value ) && (int) $value > 0 ? (string) (int) $value : null;
	}

	/**
	 * An amount in major units as a decimal string with at least two places.
	 *
	 * @param mixed $value A number, or a string such as "59.9900".
	 * @return string|null
	 */
	public static function amount( $value ) {
		if ( ! is_numeric( $value ) ) {
			return null;
		}
		$text = number_format( (float) $value, 4, '.', '' );
		return preg_replace( '/0{1,2}$/D', '', $text );
	}

	/**
	 * A time as RFC 3339 in UTC.
	 *
	 * The platform writes MySQL times without a zone; all but one are in UTC.
	 *
	 * @param mixed $value For example "2026-11-23 19:09:31".
	 * @return string|null
	 */
	public static function time( $value ) {
		if ( ! is_string( $value ) || 1 !== preg_match( '/^([1-9]\d{3}-\d\d-\d\d)(?:[ T](\d\d:\d\d:\d\d))?/', $value, $found ) ) {
			return null;
		}
		return $found[1] . 'T' . ( isset( $found[2] ) ? $found[2] : '00:00:00' ) . 'Z';
	}

	/**
	 * A time that the platform writes in the site's own zone (only `date_cancellation`).
	 *
	 * @param mixed $value For example "2026-11-23 20:09:31".
	 * @return string|null
	 */
	public static function local_time( $value ) {
		return null === self::time( $value ) ? null : self::time( get_gmt_from_date( $value ) );
	}

	/**
	 * A text; an empty one is none.
	 *
	 * @param mixed $value A scalar.
	 * @return string|null
	 */
	public static function text( $value ) {
		if ( ! is_string( $value ) && ! is_numeric( $value ) ) {
			return null;
		}
		$text = trim( (string) $value );
		return '' === $text ? null : $text;
	}
}
