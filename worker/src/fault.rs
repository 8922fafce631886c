//! Named points in a run at which a test can hold the worker.
//!
//! A fault test has to kill the worker, cut its connections or fill its disk at an exact step.
//! Built with the feature `fault-points`, the worker stops at the point that the environment
//! variable `OUTBOUND_FAULT_POINT` names: it creates the file named by `OUTBOUND_FAULT_HOLD`, so
//! that the test knows, and waits until the test removes it. A point that is passed several times
//! holds at the first pass only. Without the feature, a point is nothing.
//!
//! Names: `list.before list.after fetch.before fetch.middle fetch.after stage.before stage.middle
//! stage.after publish.before publish.middle publish.after dispose.before dispose.middle
//! dispose.after finish.before`.

/// Holds here when a test asks for it; blocks the calling thread.
#[cfg(feature = "fault-points")]
pub fn point(name: &str) {
    use std::sync::atomic::{AtomicBool, Ordering};

    static HELD: AtomicBool = AtomicBool::new(false);

    let asked = std::env::var_os("OUTBOUND_FAULT_POINT").is_some_and(|asked| asked == name);
    let Some(hold) = std::env::var_os("OUTBOUND_FAULT_HOLD") else {
        return;
    };
    if !asked || HELD.swap(true, Ordering::SeqCst) {
        return;
    }
    // Written beside and renamed, so that whoever sees the file sees its text.
    let hold = std::path::PathBuf::from(hold);
    let beside = hold.with_extension("new");
    let held = std::fs::write(&beside, name).and_then(|()| std::fs::rename(&beside, &hold));
    if let Err(error) = held {
        tracing::error!(point = name, %error, "cannot hold at the fault point");
        return;
    }
    while hold.exists() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// Nothing: this build has no fault points.
#[cfg(not(feature = "fault-points"))]
#[inline(always)]
pub fn point(_name: &str) {}

#[cfg(test)]
#[cfg(feature = "fault-points")]
mod tests {
    use std::path::Path;
    use std::process::{Child, Command};
    use std::time::{Duration, Instant};

    /// The environment belongs to the whole process, so each case runs in one of its own.
    fn passing_points(asked: &str, hold: &Path) -> Child {
        Command::new(std::env::current_exe().unwrap())
            .args([
                "--ignored",
                "--exact",
                "fault::tests::in_a_process_of_its_own",
            ])
            .env("OUTBOUND_FAULT_POINT", asked)
            .env("OUTBOUND_FAULT_HOLD", hold)
            .spawn()
            .unwrap()
    }

    #[test]
    #[ignore = "started by the tests below"]
    fn in_a_process_of_its_own() {
        super::point("fetch.before");
        super::point("fetch.middle");
        super::point("fetch.middle");
    }

    #[test]
    fn the_named_point_holds_once_until_its_file_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let hold = dir.path().join("hold");
        let mut child = passing_points("fetch.middle", &hold);
        let started = Instant::now();
        while !hold.exists() && started.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(std::fs::read_to_string(&hold).unwrap(), "fetch.middle");
        assert!(child.try_wait().unwrap().is_none());
        std::fs::remove_file(&hold).unwrap();
        assert!(child.wait().unwrap().success());
        assert!(!hold.exists());
    }

    #[test]
    fn other_points_do_not_hold() {
        let dir = tempfile::tempdir().unwrap();
        let hold = dir.path().join("hold");
        assert!(
            passing_points("stage.before", &hold)
                .wait()
                .unwrap()
                .success()
        );
        assert!(!hold.exists());
    }
}
