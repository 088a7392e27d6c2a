//! The models, one test each.

macro_rules! models {
    ($($of:ident: $($model:ident)+;)+) => {$(
        mod $of {
            $(
                #[test]
                fn $model() {
                    barograph_loom::$of::$model();
                }
            )+
        }
    )+};
}

models! {
    totals:
        are_exact_once_threads_end
        never_go_back
        survive_their_thread
        hold_what_destructors_record
        of_amounts_are_exact
        of_differences_meet
        of_gauges_are_one
        have_cells_of_their_own;
    histograms:
        are_read_whole
        of_two_threads_are_read_whole
        read_zeros_whole
        carry_once
        of_late_threads_lose_nothing
        of_late_threads_are_read_whole
        of_late_threads_have_places
        survive_their_thread;
    places:
        of_cells_are_made_once
        of_series_need_an_index_only
        of_exemplars_hold_one;
}
