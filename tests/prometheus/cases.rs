//! The tests, by name.

mod alerts;
mod dashboard;
mod receiver;

use crate::stage::Stage;

type Case = fn(&mut Stage);

pub(crate) const ALL: &[(&str, Case)] = &[
    (
        "every_query_of_the_dashboard_returns_data",
        dashboard::every_query_returns_data,
    ),
    (
        "a_psiren_that_is_gone_shows_as_down",
        dashboard::a_psiren_that_is_gone_shows_as_down,
    ),
    (
        "the_terms_of_the_buckets_add_up_to_the_psi",
        dashboard::the_terms_of_the_buckets_add_up_to_the_psi,
    ),
    (
        "alertmanager_hears_of_an_incident_and_of_its_end",
        alerts::alertmanager_hears_of_an_incident_and_of_its_end,
    ),
    (
        "an_alertmanager_is_told_of_incidents_and_again_when_it_forgot",
        receiver::an_alertmanager_is_told_of_incidents_and_again_when_it_forgot,
    ),
];
