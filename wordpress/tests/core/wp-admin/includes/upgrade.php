<?php
/**
 * Where WordPress keeps dbDelta(); the stand-in has it already.
 *
 * @package Lifecycle_Relay
 */
