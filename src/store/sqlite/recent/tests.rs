use std::sync::Arc;

use crate::model::execution_record::ExecutionId;
use crate::model::execution_record::ExecutionRecord;
use crate::store::contract::record;
use crate::store::sqlite::recent::BYTES_MAX;
use crate::store::sqlite::recent::Recent;

fn written(id: u64, version: u64, input_bytes: usize) -> Arc<ExecutionRecord> {
    Arc::new(ExecutionRecord {
        version,
        input: "x".repeat(input_bytes).into(),
        ..record(id)
    })
}

fn version(recent: &Recent, id: u64) -> Option<u64> {
    let found = recent.execution(ExecutionId(id));
    assert_eq!(found, recent.find(&record(id).facts.arn));
    found.map(|record| record.version)
}

#[test]
fn what_is_hidden_is_not_found_until_it_is_shown_again() {
    let recent = Recent::default();
    recent.show([written(1, 1, 10), written(2, 1, 10), written(1, 2, 10)].iter());
    assert_eq!((version(&recent, 1), version(&recent, 2)), (Some(2), Some(1)));
    recent.hide([ExecutionId(1), ExecutionId(7)].into_iter());
    assert_eq!((version(&recent, 1), version(&recent, 2)), (None, Some(1)));
    recent.show([written(1, 3, 10)].iter());
    assert_eq!((version(&recent, 1), version(&recent, 2)), (Some(3), Some(1)));
}

#[test]
fn the_name_of_one_that_went_leads_to_the_new_one() {
    let recent = Recent::default();
    recent.show([written(1, 5, 10)].iter());
    recent.hide([ExecutionId(1)].into_iter());
    let mut second = ExecutionRecord::clone(&written(2, 1, 10));
    Arc::make_mut(&mut second.facts).arn = record(1).facts.arn.clone();
    recent.show([Arc::new(second)].iter());
    let found = recent.find(&record(1).facts.arn).unwrap();
    assert_eq!(found.id, ExecutionId(2));
    // The first one's place in the order is used up; the name stays the second one's.
    recent.show([written(3, 1, BYTES_MAX - 3_000)].iter());
    assert_eq!(recent.execution(ExecutionId(1)), None);
    assert_eq!(recent.find(&record(1).facts.arn).unwrap().id, ExecutionId(2));
}

#[test]
fn the_oldest_make_room() {
    let recent = Recent::default();
    let third = BYTES_MAX / 3;
    for id in 1..=4 {
        recent.show([written(id, 1, third - 2_000)].iter());
    }
    let versions = [1, 2, 3, 4].map(|id| version(&recent, id));
    assert_eq!(versions, [None, Some(1), Some(1), Some(1)]);
    recent.show([written(5, 1, BYTES_MAX)].iter());
    let versions = [1, 2, 3, 4, 5].map(|id| version(&recent, id));
    assert_eq!(versions, [None; 5], "one that is larger than all the room is not kept");
    let inner = recent.lock();
    let n_left = inner.by_id.len() + inner.by_arn.len() + inner.order.len();
    assert_eq!((n_left, inner.n_bytes), (0, 0));
}
