//! The committed YAML is what the types say.

use std::process::Command;

#[test]
fn the_generated_files_have_not_drifted() {
    let check = Command::new(env!("CARGO_BIN_EXE_crdgen"))
        .arg("--check")
        .output();
    let check = check.expect("crdgen runs");
    let said = String::from_utf8_lossy(&check.stderr);
    assert!(check.status.success(), "{said}");
}

#[test]
fn an_argument_it_does_not_know_is_refused_with_its_use() {
    let run = Command::new(env!("CARGO_BIN_EXE_crdgen"))
        .arg("--chekc")
        .output();
    let run = run.expect("crdgen runs");
    assert_eq!(run.status.code(), Some(1));
    assert_eq!(
        String::from_utf8_lossy(&run.stderr),
        "crdgen takes nothing or --check, not --chekc\n"
    );
}
