//! Undoes checkpoints, the latest first.

use crate::model::states_error::StatesError;
use crate::worker::action::ACTIONS;
use crate::worker::action::Work;
use crate::worker::action::carry_out;
use crate::worker::action::carry_out::CHECKPOINT_FAILED;
use crate::worker::action::checkpoint::Checkpoints;
use crate::worker::action::checkpoint::Saved;
use crate::worker::action::checkpoint::Status;

/// What undoing one checkpoint gave.
#[derive(Debug)]
pub struct Undone {
    /// The checkpoint, as it is now.
    pub saved: Saved,
    /// Why it is not undone, if it is not.
    pub error: Option<StatesError>,
}

impl Undone {
    /// Says in a sentence what could not be undone, if so.
    pub fn failure(&self) -> Option<String> {
        let error = self.error.as_ref()?;
        let name = error.name.as_deref().unwrap_or("an error without a name");
        let cause = error.cause.as_deref().unwrap_or("no cause is known");
        Some(format!(
            "The change of {} in state `{}` is not undone: {name}: {cause}",
            self.saved.action, self.saved.state_name
        ))
    }
}

/// Undoes checkpoints in the reverse of their order. One that cannot be undone does not keep the others.
pub async fn undo_all(mut checkpoints: Vec<Saved>, work: &mut Work<'_>) -> Vec<Undone> {
    checkpoints.sort_by_key(|saved| std::cmp::Reverse(saved.order));
    let mut undone = Vec::new();
    for saved in checkpoints {
        if saved.status != Status::Undone {
            undone.push(undo(saved, work).await);
        }
    }
    undone
}

/// Undoes one checkpoint; one that is undone already stays so.
pub async fn undo(mut saved: Saved, work: &mut Work<'_>) -> Undone {
    let error = try_undo(&mut saved, work).await.err();
    Undone { saved, error }
}

async fn try_undo(saved: &mut Saved, work: &mut Work<'_>) -> Result<(), StatesError> {
    if saved.status == Status::Undone {
        return Ok(());
    }
    let Some(action) = ACTIONS.iter().find(|action| action.facts().name == saved.action) else {
        return Err(StatesError::new(
            CHECKPOINT_FAILED,
            format!(
                "The checkpoint `{}` is of `{}`, which is no action.",
                saved.id, saved.action
            ),
        ));
    };
    let locks = work.site.locks.acquire(action.locks(&saved.parameters)).await;
    let _held = locks.map_err(|error| {
        StatesError::new(
            CHECKPOINT_FAILED,
            format!("A lock of {} cannot be made: {error}.", saved.action),
        )
    })?;
    let again = saved.locked().await;
    let _turn = match again {
        Ok((again, turn)) => {
            *saved = again;
            turn
        }
        Err(error) => {
            return Err(StatesError::new(
                CHECKPOINT_FAILED,
                format!("The checkpoint `{}` cannot be read: {error}.", saved.id),
            ));
        }
    };
    if saved.status == Status::Undone {
        // Somebody else did it meanwhile: the execution that this one is a part of, or a person.
        return Ok(());
    }
    // What undoes a change has no other rights than what made it.
    let reports = work.reports.in_the_name_of(saved.claim.clone());
    let mut own = Work {
        nursery: work.nursery,
        site: work.site,
        reports: &reports,
        cancel: work.cancel,
        output_bytes_max: work.output_bytes_max,
        before: None,
    };
    let undone = match carry_out::check_account(*action, &own).await {
        Ok(()) => action.undo(saved, &mut own).await,
        Err(error) => Err(error),
    };
    let undone = reports.take_refusal().map_or(undone, Err)?;
    let mut noted = saved.clone();
    *saved = carry_out::of_disk(move || {
        noted.undone(undone)?;
        Ok(noted)
    })
    .await?;
    Ok(())
}

/// Returns the checkpoints that an id or an execution's ARN names.
///
/// # Errors
/// There is none, or it cannot be read.
pub async fn find(
    checkpoints: &Checkpoints,
    id: Option<&str>,
    execution_arn: Option<&str>,
) -> Result<Vec<Saved>, StatesError> {
    let checkpoints = checkpoints.clone();
    let (id, execution_arn) = (id.map(str::to_owned), execution_arn.map(str::to_owned));
    carry_out::of_disk(move || {
        let mut found = Vec::new();
        if let Some(id) = id {
            found.extend(checkpoints.find(&id)?);
        }
        if let Some(arn) = execution_arn {
            found.extend(checkpoints.of_execution(&arn)?);
        }
        Ok(found)
    })
    .await
}
