//! Work on all cores whose results come in the order of the work.

use std::collections::BTreeMap;
use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::PoisonError;

/// How far the work may run ahead of the first result that is not taken yet: it bounds the memory.
const AHEAD_MAX: usize = 64;

/// Where the work stands.
struct Standing<R> {
    /// The next piece that nobody has begun.
    next: usize,
    /// The next result that is wanted.
    wanted: usize,
    /// Results that came before it.
    early: BTreeMap<usize, R>,
    /// Nobody wants more.
    is_over: bool,
}

/// Ends the wait of the others when one of them panics or is done.
struct Ends<'a, R>(&'a Mutex<Standing<R>>, &'a Condvar);

impl<R> Drop for Ends<'_, R> {
    fn drop(&mut self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_over = true;
        self.1.notify_all();
    }
}

/// Does the work on each item, on `n_threads` threads, and takes the results in the order of the items.
///
/// # Errors
/// What `take` gives first; then no more work is begun.
pub(crate) fn each<T: Sync, R: Send, E>(
    items: &[T],
    n_threads: usize,
    work: impl Fn(&T) -> R + Sync,
    mut take: impl FnMut(R) -> Result<(), E>,
) -> Result<(), E> {
    let standing = Mutex::new(Standing {
        next: 0,
        wanted: 0,
        early: BTreeMap::new(),
        is_over: false,
    });
    let changed = Condvar::new();
    let lock = || standing.lock().unwrap_or_else(PoisonError::into_inner);
    let worker = || {
        loop {
            let mut held = lock();
            while !held.is_over && held.next < items.len() && held.wanted + AHEAD_MAX <= held.next {
                held = changed.wait(held).unwrap_or_else(PoisonError::into_inner);
            }
            if held.is_over || items.len() <= held.next {
                return;
            }
            let index = held.next;
            held.next += 1;
            drop(held);
            let only_a_panic_ends = Ends(&standing, &changed);
            let result = work(&items[index]);
            std::mem::forget(only_a_panic_ends);
            lock().early.insert(index, result);
            changed.notify_all();
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..n_threads.clamp(1, items.len().max(1)) {
            scope.spawn(worker);
        }
        let _ends = Ends(&standing, &changed);
        for wanted in 0..items.len() {
            let mut held = lock();
            let result = loop {
                if let Some(result) = held.early.remove(&wanted) {
                    break result;
                }
                if held.is_over {
                    // A worker panicked; the scope passes that on.
                    return Ok(());
                }
                held = changed.wait(held).unwrap_or_else(PoisonError::into_inner);
            };
            held.wanted = wanted + 1;
            drop(held);
            changed.notify_all();
            take(result)?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        let items: Vec<usize> = (0..1000).collect();
        for n_threads in [1, 2, 7] {
            let mut taken = Vec::new();
            let done = each(
                &items,
                n_threads,
                |item| {
                    // The earlier take longer.
                    (0..(1000 - item) * 10).fold(*item, |sum, n| std::hint::black_box(sum ^ n ^ n))
                },
                |item| {
                    taken.push(item);
                    Ok::<(), ()>(())
                },
            );
            assert_eq!(done, Ok(()));
            assert_eq!(taken, items);
        }
    }

    #[test]
    fn an_error_ends_the_work() {
        let items: Vec<usize> = (0..100_000).collect();
        let n_begun = std::sync::atomic::AtomicUsize::new(0);
        let done = each(
            &items,
            2,
            |item| {
                n_begun.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                *item
            },
            |item| if item == 10 { Err("enough") } else { Ok(()) },
        );
        assert_eq!(done, Err("enough"));
        assert!(n_begun.into_inner() <= 10 + 2 * AHEAD_MAX);
        assert_eq!(each(&[] as &[u8], 2, |_| (), |()| Ok::<(), ()>(())), Ok(()));
    }
}
