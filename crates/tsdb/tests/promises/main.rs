//! What the store promises, one module a promise; one program, as each would link the whole store.

mod support;

mod a_burst_of_series_stays_within_its_limits;
mod a_large_window_becomes_several_blocks;
mod backups_come_back;
mod blocks_hold_what_the_head_held;
mod damage_is_found;
mod deleted_samples_are_gone;
mod faults_at_every_call;
mod histograms_come_back;
mod interrupted_upkeep_claims_nothing;
mod metrics_are_described;
mod names_and_values_are_those_in_use;
mod one_series_may_have_a_long_past;
mod opens_every_released_format;
mod policies_are_kept;
mod reopen_keeps_what_was_acknowledged;
mod rows_are_judged;
mod store_equals_model;
mod the_past_is_taken;
mod threads_append_together;
