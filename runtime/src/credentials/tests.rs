use std::fs;
use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;

/// The credentials of `directory`, with `FROM_ENV=environment` and an empty `EMPTY` behind them.
fn credentials(directory: Option<&TempDir>) -> Credentials {
    let args = CredentialArgs {
        credentials_dir: directory.map(|directory| directory.path().to_owned()),
    };
    let environment = |name: &str| match name {
        "FROM_ENV" | "BOTH" => Some("environment".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    };
    Credentials::with_environment(&args, environment).unwrap()
}

fn text(credentials: &Credentials, name: &str) -> String {
    credentials.get(name).unwrap().expose().to_owned()
}

#[test]
fn a_file_wins_over_the_environment_and_loses_its_trailing_newline() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("BOTH"), "file\n").unwrap();
    let credentials = credentials(Some(&directory));
    assert_eq!(text(&credentials, "BOTH"), "file");
    assert_eq!(text(&credentials, "FROM_ENV"), "environment");
}

#[test]
fn a_missing_or_empty_credential_is_named_with_both_ways_to_give_it() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("STRIPE_SECRET_KEY"), "\n").unwrap();
    let with_directory = credentials(Some(&directory));
    for name in ["STRIPE_SECRET_KEY", "EMPTY", "NOWHERE"] {
        let missing = with_directory.get(name).err().unwrap().to_string();
        assert!(missing.starts_with(&format!(
            "{name} is not set: set the environment variable {name}, or put a file"
        )));
        assert!(
            missing.contains(&format!(
                "GLYPH_CREDENTIALS_DIR (now {})",
                directory.path().display()
            )),
            "{missing}"
        );
    }
    let without = credentials(None).get("NOWHERE").err().unwrap().to_string();
    assert!(
        without.ends_with("GLYPH_CREDENTIALS_DIR (now not given)"),
        "{without}"
    );
}

#[test]
fn a_directory_that_is_not_there_is_refused_at_the_start() {
    let args = CredentialArgs {
        credentials_dir: Some("/nowhere/at/all".into()),
    };
    let error = Credentials::load(&args).err().unwrap();
    assert_eq!(
        error.to_string(),
        "failed to read credentials from /nowhere/at/all"
    );
}

#[test]
fn a_reload_counts_as_a_change_only_when_a_content_differs() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("KEY");
    fs::write(&file, "one").unwrap();
    let credentials = credentials(Some(&directory));
    let changed = credentials.changed();

    fs::write(&file, "one\n").unwrap();
    credentials.reload().unwrap();
    assert_eq!(credentials.generation(), 0);
    assert!(!changed.has_changed().unwrap());

    fs::write(&file, "two").unwrap();
    credentials.reload().unwrap();
    assert_eq!(
        (credentials.generation(), text(&credentials, "KEY")),
        (1, "two".to_owned())
    );
    assert!(changed.has_changed().unwrap());

    fs::remove_file(&file).unwrap();
    credentials.reload().unwrap();
    assert!(credentials.get("KEY").is_err());
}

#[test]
fn an_unreadable_directory_leaves_the_last_credentials_in_force() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("KEY"), "one").unwrap();
    let credentials = credentials(Some(&directory));
    fs::write(directory.path().join("KEY"), [0xff, 0xfe]).unwrap();
    let error = credentials.reload().unwrap_err();
    assert_eq!(error.path, directory.path().join("KEY"));
    assert_eq!(text(&credentials, "KEY"), "one");
}

/// What kubelet does to a mounted Secret: a new dated directory, then the link `..data` renamed onto the old one.
fn mount(directory: &TempDir, version: &str) {
    let root = directory.path();
    fs::create_dir(root.join(version)).unwrap();
    fs::write(root.join(version).join("KEY"), version).unwrap();
    symlink(version, root.join("..data_tmp")).unwrap();
    fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
    if !root.join("KEY").exists() {
        symlink("..data/KEY", root.join("KEY")).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_rotated_kubernetes_secret_is_in_force_within_two_seconds_and_announced() {
    let directory = tempfile::tempdir().unwrap();
    mount(&directory, "..2026_one");
    let credentials = credentials(Some(&directory));
    assert_eq!(text(&credentials, "KEY"), "..2026_one");

    let stop = CancellationToken::new();
    let task = tokio::spawn(credentials.clone().keep_fresh(stop.clone()));
    let mut changed = credentials.changed();
    mount(&directory, "..2026_two");
    fs::remove_dir_all(directory.path().join("..2026_one")).unwrap();
    tokio::time::timeout(2 * RELOAD_EVERY, changed.changed())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(text(&credentials, "KEY"), "..2026_two");
    stop.cancel();
    task.await.unwrap();
}
