//! What `Counters` promise, asked of counts in this process, of counts in a Redis and of counts in a cluster of them: the
//! same scenarios, the same answers.
#![cfg(test)]

mod budgets;
mod fitting;
mod periods;
mod rates;
mod stage;
mod waiting;

/// Each scenario once with each.
macro_rules! of_all {
    ($($file:ident::$scenario:ident),* $(,)?) => {
        mod in_this_process {
            $(#[test] fn $scenario() { crate::stage::here(crate::$file::$scenario) })*
        }
        mod in_redis {
            $(#[test] fn $scenario() { crate::stage::shared(crate::$file::$scenario) })*
        }
        /// All at once in one cluster, for it takes a while to become one.
        #[test]
        fn in_a_cluster_every_scenario_goes_the_same_way() {
            crate::stage::clustered(&[$((stringify!($scenario), crate::$file::$scenario)),*]);
        }
    };
}

of_all! {
    rates::requests_are_taken_and_stay,
    rates::tokens_are_put_right_when_a_call_ends,
    rates::permits_come_back_and_are_never_too_many,
    rates::a_window_that_rolled_begins_anew_with_the_next_call,
    rates::all_or_none_is_taken,
    rates::a_refusal_names_the_rule_what_is_taken_and_when_to_come_back,
    budgets::a_hold_becomes_what_the_call_cost,
    budgets::a_cap_shrinks_to_what_is_left_but_not_below_the_least,
    budgets::every_budget_of_a_call_holds_the_smallest_grant,
    budgets::a_budget_begins_with_what_its_rule_says,
    budgets::what_costs_more_than_it_held_is_booked_in_full,
    budgets::what_costs_nothing_passes_a_budget_that_is_spent,
    budgets::a_budget_that_is_named_twice_books_once,
    budgets::more_than_eight_at_once_need_twice_the_room,
    budgets::strict_holds_the_cap_and_expected_what_is_usual,
    budgets::what_is_spent_is_set_anew_in_all_windows_of_one_thing,
    fitting::an_attempt_is_held_for_on_top_of_what_was_spent,
    fitting::all_budgets_are_fitted_together_or_none,
    fitting::a_call_that_goes_elsewhere_holds_of_what_counts_there,
    fitting::a_call_that_is_refused_elsewhere_holds_what_it_held,
    fitting::a_call_that_was_free_holds_once_it_is_not,
    fitting::a_further_attempt_counts_no_call_and_no_tokens_again,
    periods::days_and_months_end_where_their_zone_says,
    periods::what_is_held_goes_over_into_the_next_period,
    periods::rates_turn_and_what_was_too_little_counts_in_the_next_period,
    periods::a_rule_of_a_period_that_is_over_seeds_nothing,
    waiting::who_waits_gets_what_comes_back,
    waiting::who_waits_in_vain_is_refused_when_its_time_is_over,
    waiting::nobody_waits_for_what_will_not_come_back,
    waiting::a_call_that_runs_passes_those_that_wait,
    waiting::those_that_wait_get_equal_shares_or_twice_what_is_usual,
    waiting::many_at_once_never_pass_a_budget_or_a_gate,
}
