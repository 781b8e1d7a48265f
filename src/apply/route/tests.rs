use super::*;
use crate::category::{CategoryId, PermissionLevel, UserId};
use crate::plan::category::Named;
use crate::plan::{Action, CategoryPlan, Decision};

const AS_SHIPPED: Speed = Speed {
    batch: 50,
    concurrency: 4,
    requests_per_second: 10,
    rows: 1000,
    jobs: 4,
};

/// So many additions in each of so many channels.
fn additions(channels: i64, people: usize) -> Plan {
    Plan::new((1..=channels).map(|id| {
        let actions = (0..people).map(|n| Action {
            user: UserId::new(format!("p{n}")),
            decision: Decision::Add {
                level: PermissionLevel::Member,
            },
            via: None,
            cause: crate::plan::category::Cause::default(),
            before: None,
            extra_permissions: Vec::new(),
        });
        CategoryPlan {
            category: Named {
                id: CategoryId(id),
                reference_id: None,
                name: format!("channel {id}"),
            },
            block: None,
            actions: actions.collect(),
            members: 0,
            fresh: false,
            manual: 0,
            owned: false,
            managers: None,
        }
    }))
}

fn auto() -> Via {
    Via::Either(config::apply::Via::Auto)
}

#[test]
fn what_was_asked_for_is_taken_without_sums() {
    let plan = additions(1, 1);
    let chosen = |via| choose(&plan, &via, AS_SHIPPED);
    let api = chosen(Via::Either(config::apply::Via::Api));
    assert_eq!((api.route, api.estimate), (Route::Calls, None));
    let csv = chosen(Via::Either(config::apply::Via::Csv));
    assert_eq!(csv.route, Route::Files { or_calls: false });
    let folder = chosen(Via::Folder("out".into()));
    assert_eq!(folder.route, Route::Folder("out".into()));
}

#[test]
fn a_server_as_it_is_shipped_is_called_whatever_the_size() {
    for (channels, people) in [(1, 1), (10, 100), (1000, 100)] {
        let choice = choose(&additions(channels, people), &auto(), AS_SHIPPED);
        assert_eq!(choice.route, Route::Calls, "{:?}", choice.estimate);
    }
}

#[test]
fn many_changes_at_a_low_rate_go_by_files() {
    let slow = Speed {
        batch: 5,
        requests_per_second: 1,
        ..AS_SHIPPED
    };
    let choice = choose(&additions(1000, 100), &auto(), slow);
    assert_eq!(choice.route, Route::Files { or_calls: true });
    let few = choose(&additions(10, 1), &auto(), slow);
    assert_eq!(
        few.route,
        Route::Calls,
        "a job takes half a minute to begin"
    );
}

#[test]
fn one_channel_is_worked_on_one_change_after_the_other() {
    let many = estimate(&additions(100, 50), AS_SHIPPED);
    let one = estimate(&additions(1, 5000), AS_SHIPPED);
    assert_eq!(one.calls_s, 4 * many.calls_s);
}

#[test]
fn the_sums_are_said_in_words() {
    let estimate = estimate(&additions(1000, 100), AS_SHIPPED);
    insta::assert_snapshot!(estimate, @"100000 changes in 1000 channels would take about 41m by calls, about 2h 46m by CSV files");
}
