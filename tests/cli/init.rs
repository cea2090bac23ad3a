//! `tos init`, also where something is there already.

use std::fs;

use crate::{blank, sample};

#[test]
fn the_sample_is_not_laid_over_a_configuration_of_ones_own() {
    let machine = blank();
    let mine = machine.read("config/config_v0_3.json");
    let ran = machine.run(&["init", "--sample"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(
        ran.stderr
            .contains("is there already and is not the configuration of the sample"),
        "{ran}"
    );
    assert!(!ran.stdout.contains("cleanrun"), "{ran}");
    assert_eq!(machine.read("config/config_v0_3.json"), mine);
    assert!(!machine.root().join("examples").exists());
    let again = sample().run(&["init", "--sample"]);
    assert_eq!(again.code, Some(0), "{again}");
}

#[test]
fn an_old_configuration_at_the_other_place_is_not_put_in_the_shade() {
    let machine = sample();
    let (old, new) = ("config_v0_3.json", "config/config_v0_3.json");
    fs::rename(machine.root().join(new), machine.root().join(old)).unwrap();
    let ran = machine.run(&["init"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(ran.stdout.contains("kept    config_v0_3.json"), "{ran}");
    assert!(
        ran.stdout.contains("the configuration was there and stays"),
        "{ran}"
    );
    assert!(!machine.root().join(new).exists());
}

#[test]
fn what_is_no_file_in_the_place_of_the_configuration_is_named() {
    let machine = blank();
    let place = machine.root().join("config/config_v0_3.json");
    fs::remove_file(&place).unwrap();
    fs::create_dir(&place).unwrap();
    for words in [
        &["--mode", "run"][..],
        &["init"],
        &["init", "--sample"],
        &["config", "show"],
    ] {
        let ran = machine.run(words);
        assert_ne!(ran.code, Some(0), "{ran}");
        assert!(
            ran.stderr
                .contains("config/config_v0_3.json is a folder, not a file"),
            "{words:?}: {ran}"
        );
    }
}
