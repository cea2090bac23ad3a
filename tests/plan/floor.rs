//! The floor under a plan of a person: what would destroy the machine is refused before anything runs.
//!
//! What is run here names homes that do not exist; the rest is only validated. A hole in the floor must not cost a machine.

use crate::place::Place;

/// Returns what `validate` says about a plan of one task.
fn checked(task: &str) -> (i32, String) {
    let place = Place::with(&format!("tasks:\n- {task}\n"));
    let seen = place.tos(&["validate", "plan.yaml"]);
    (seen.code, seen.err)
}

#[test]
fn a_plan_that_destroys_a_home_runs_no_task() {
    let place = Place::with(
        "tasks:\n- {id: first, cmd: [touch, made]}\n- {id: clean, shell: 'rm -rf /home/nobody-of-this-name'}\n",
    );
    let seen = place.tos(&["run", "plan.yaml"]);
    assert_eq!(seen.code, 2, "{}", seen.err);
    for part in [
        "nothing was run",
        "task `clean`",
        "rm -rf /home/nobody-of-this-name",
        "minimal/system-folders",
        "policy: off",
    ] {
        assert!(seen.err.contains(part), "{part}: {}", seen.err);
    }
    assert!(!place.path().join("made").exists());
    place.write(
        "off.yaml",
        "policy: off\ntasks:\n- {id: clean, shell: 'rm -rf /home/nobody-of-this-name; false'}\n",
    );
    assert_eq!(place.tos(&["run", "off.yaml"]).code, 3);
    // Who said so once is not asked again: the copy of the plan holds it.
    assert_eq!(place.tos(&["retry", "latest", "--task", "clean"]).code, 3);
}

#[test]
fn what_destroys_a_machine_is_no_valid_plan() {
    for task in [
        "{id: a, cmd: [rm, -rf, /]}",
        "{id: a, cmd: rm -rf /etc}",
        "{id: a, shell: 'rm -rf /usr/*'}",
        "{id: a, shell: 'cd / && rm -rf var'}",
        "{id: a, cwd: /, cmd: rm -rf etc}",
        "{id: a, shell: 'rm -rf \"$TOP\"/etc', env: {TOP: /}}",
        "{id: a, shell: 'rm -rf ~'}",
        "{id: a, shell: 'cd && rm -rf ./*'}",
        "{id: a, shell: 'find /var -delete'}",
        "{id: a, shell: 'sudo rm -rf /boot'}",
        "{id: a, shell: 'python3 -c \"import shutil; shutil.rmtree(\\\"/etc\\\")\"'}",
        "{id: a, shell: 'chmod -R 777 /'}",
        "{id: a, shell: 'dd if=/dev/zero of=/dev/sda'}",
        "{id: a, shell: 'cat image > /dev/nvme0n1'}",
        "{id: a, shell: 'mkfs.ext4 /dev/sdb1'}",
        "{id: a, cmd: sh, stdin: 'rm -rf /lib'}",
        // The home of these plans is the folder they run in.
        "{id: a, shell: 'rm -rf ./*'}",
    ] {
        let (code, said) = checked(task);
        assert_eq!(code, 2, "{task}: {said}");
        assert!(said.contains("task `a`"), "{task}: {said}");
    }
}

#[test]
fn the_work_of_an_administrator_is_a_valid_plan() {
    for task in [
        "{id: a, shell: 'rm -rf build dist *.o'}",
        "{id: a, cwd: sub, shell: 'rm -rf ./*'}",
        "{id: a, shell: 'rm -f /etc/nginx/sites-enabled/old.conf'}",
        "{id: a, shell: 'rm -rf /srv/site/releases/1'}",
        "{id: a, shell: 'rm -rf ~/.cache/app /tmp/work'}",
        "{id: a, shell: 'rm -rf \"$BUILD\"'}",
        "{id: a, shell: 'chown -R www-data /srv/site'}",
        "{id: a, shell: 'dd if=/dev/zero of=disk.img bs=1M count=1; mkfs.ext4 disk.img'}",
        "{id: a, shell: 'terraform destroy -auto-approve; kubectl delete pod x'}",
        "{id: a, shell: 'curl -s https://example.org/x | sh'}",
        "{id: a, shell: 'find . -name \"*.pyc\" -delete'}",
        "{id: a, shell: 'mv /etc/app.conf /etc/app.conf.old'}",
        "{id: a, shell: 'echo rm -rf /'}",
    ] {
        let (code, said) = checked(task);
        assert_eq!(code, 0, "{task}: {said}");
    }
}
