//! `:screen`.

use std::fs::{read, read_dir, write};

use crate::common::picture::Picture;
use crate::common::run::run;
use crate::common::sockets::hold;
use crate::common::terminal::{NO_GRAPHICS, Terminal};
use crate::common::told::Told;
use crate::common::{Outcome, Qemu, mode, text, wait_for};

/// A machine whose firmware has nothing to boot and says so on its screen. It is stopped, so that the cursor does not blink.
fn idle_with(args: &[&str]) -> Qemu {
    let qemu = Qemu::with_args(&[&["-machine", "q35", "-device", "VGA"], args].concat());
    wait_for("the firmware's words", || {
        let picture = dump(&qemu);
        let lit = picture.pixels.iter().filter(|pixel| **pixel != [0; 3]);
        (picture.width == 720 && lit.count() > 1000).then_some(())
    });
    qemu.control("stop");
    qemu
}

pub fn idle() -> Qemu {
    idle_with(&[])
}

/// The picture that QEMU takes by itself.
pub fn dump(qemu: &Qemu) -> Picture {
    let path = qemu.directory.path().join("qemu.ppm");
    qemu.control(&format!("screendump filename={}", text(&path)));
    Picture::of_ppm(&path)
}

/// Runs `:screen ARGS` against the monitor at `address`, with QEMU's directory as its own and as that of temporary files.
fn screen_at(qemu: &Qemu, address: &str, args: &[&str]) -> Outcome {
    let directory = qemu.directory.path();
    let temporary = directory.join("tmp");
    let _ = std::fs::create_dir(&temporary);
    let mut command = crate::common::command(directory);
    command
        .args(["--connect", address, ":screen"])
        .args(args)
        .current_dir(directory)
        .env("TMPDIR", &temporary);
    let outcome = run(command, b"");
    let left = read_dir(temporary).expect("our directory").count();
    assert_eq!(left, 0, "temporary files are left");
    outcome
}

fn screen(qemu: &Qemu, args: &[&str]) -> Outcome {
    screen_at(qemu, qemu.address(), args)
}

#[test]
fn a_saved_picture_is_the_one_that_qemu_takes() {
    let qemu = idle();
    let own = dump(&qemu);
    let path = |name: &str| qemu.directory.path().join(name);
    let outcome = screen(&qemu, &["a.png"]);
    outcome.assert_status(0).assert_stdout("");
    outcome.assert_says("720×400 pixels saved in a.png");
    assert!(Picture::of_png(&path("a.png")) == own);
    assert_eq!(mode(&path("a.png")), 0o600);
    screen(&qemu, &["a.PPM"]).assert_status(0);
    assert!(read(path("a.PPM")).expect("a picture") == read(path("qemu.ppm")).expect("QEMU's"));
    if Told::by(&qemu).has_argument("screendump", "format") {
        let png = path("qemu.png");
        qemu.control(&format!("screendump filename={} format=png", text(&png)));
        assert!(Picture::of_png(&png) == own);
    }
}

#[test]
fn a_picture_travels_by_a_descriptor_that_is_removed_afterwards() {
    let qemu = idle();
    // One that is stopped keeps what it should remove.
    qemu.control("cont");
    let _other = hold(&qemu.control);
    let log = qemu.log();
    let path = qemu.directory.path().join("a.png");
    let line = format!(":screen {}", text(&path));
    qemu.qmpsh(&["--log", log.path(), "-e", &line])
        .assert_status(0);
    let sent = log.sent();
    let dumps = sent.iter().filter_map(|message| {
        let name = message["arguments"]["filename"].as_str();
        name.map(|name| name.starts_with("/dev/fdset/"))
    });
    assert_eq!(dumps.collect::<Vec<_>>(), [true]);
    qemu.qmpsh(&["query-fdsets"])
        .assert_status(0)
        .assert_stdout("[]\n");
}

#[test]
fn where_no_descriptor_can_be_passed_qemu_writes_a_temporary_file() {
    let qemu = idle_with(&["-qmp", "tcp:127.0.0.1:0,server=on,wait=off"]);
    let own = dump(&qemu);
    let address = qemu.tcp_address();
    screen_at(&qemu, &address, &["a.png"]).assert_status(0);
    assert!(Picture::of_png(&qemu.directory.path().join("a.png")) == own);
}

#[test]
fn without_a_display_qemu_says_so_and_a_file_is_left_as_it_was() {
    let qemu = Qemu::start();
    let _other = hold(&qemu.control);
    let path = qemu.directory.path().join("a.png");
    write(&path, "mine").expect("a file of ours");
    let outcome = screen(&qemu, &["a.png"]);
    outcome.assert_fails(1, "There is no console to take a screendump from");
    assert_eq!(read(&path).expect("a file of ours"), b"mine");
    let sets = qemu.qmpsh(&["query-fdsets"]);
    sets.assert_status(0).assert_stdout("[]\n");
    let files = read_dir(qemu.directory.path()).expect("QEMU's directory");
    let mut names: Vec<_> = files.flatten().map(|file| file.file_name()).collect();
    names.sort();
    assert_eq!(names, ["a.png", "control.sock", "qmp.sock", "tmp"]);
}

#[test]
fn what_cannot_become_a_picture_is_refused_before_qemu_is_asked() {
    let qemu = Qemu::start();
    let log = qemu.log();
    let fails = |line: &str, status, why: &str| {
        qemu.qmpsh(&["--log", log.path(), "-e", line])
            .assert_fails(status, why);
    };
    fails(
        ":screen a.jpg",
        2,
        "the name of a picture ends in .png or .ppm, which `a.jpg` does not",
    );
    fails(":screen /nowhere/a.png", 1, "cannot write /nowhere/a.png");
    fails(":screen", 2, "a picture needs a terminal");
    assert!(
        log.sent()
            .iter()
            .all(|message| message["execute"] != "screendump")
    );
}

/// The prompt of a terminal with this value of `COLORTERM`, after `:screen`.
fn shown(qemu: &Qemu, colors: &str) -> Terminal {
    let environment = [("COLORTERM", colors)];
    let home = qemu.directory.path();
    let mut terminal = Terminal::start_with(home, &[qemu.address()], &environment);
    terminal.wait_for_prompt();
    terminal.keys(":screen\r");
    terminal.answer(NO_GRAPHICS);
    terminal.wait("the picture", |screen| {
        screen.contains('▀') && screen.lines().last() == Some("(QEMU)")
    });
    terminal
}

/// Asserts that half blocks show a picture as large as an 80×24 terminal can, each part of a colour at most `tolerance` off.
fn assert_shown(blocks: &[Vec<[vt100::Color; 2]>], picture: &Picture, tolerance: f64) {
    assert!((70..=80).contains(&blocks[0].len()), "{}", blocks[0].len());
    assert_eq!(blocks.len(), 22);
    let size = (blocks[0].len(), 2 * blocks.len());
    for (row, line) in blocks.iter().enumerate() {
        for (column, halves) in line.iter().enumerate() {
            for (half, color) in halves.iter().enumerate() {
                let at = (column, 2 * row + half);
                let wanted = picture.mean(at, size);
                for (part, wanted) in rgb(*color).into_iter().zip(wanted) {
                    let off = (f64::from(part) - wanted).abs();
                    assert!(off <= tolerance, "{color:?} at {at:?}, not {wanted:?}");
                }
            }
        }
    }
}

/// The colour that a terminal shows.
fn rgb(color: vt100::Color) -> [u8; 3] {
    let step = |step: u8| if step == 0 { 0 } else { 55 + 40 * step };
    match color {
        vt100::Color::Rgb(red, green, blue) => [red, green, blue],
        vt100::Color::Idx(number @ 16..=231) => {
            let number = number - 16;
            [number / 36, number / 6 % 6, number % 6].map(step)
        }
        vt100::Color::Idx(number @ 232..) => [8 + 10 * (number - 232); 3],
        color => panic!("{color:?} is up to the user"),
    }
}

#[test]
fn half_blocks_show_the_picture_in_24_bit_colours() {
    let qemu = idle();
    let terminal = shown(&qemu, "truecolor");
    assert_shown(&terminal.half_blocks(), &dump(&qemu), 1.0);
}

#[test]
fn half_blocks_show_the_picture_in_256_colours() {
    let qemu = idle();
    let terminal = shown(&qemu, "");
    // Greys are ten apart.
    assert_shown(&terminal.half_blocks(), &dump(&qemu), 8.0);
}

#[test]
fn a_wait_ends_once_the_screen_stands_still_but_for_the_cursor() {
    let qemu = idle();
    qemu.control("cont");
    let log = qemu.log();
    let line = ":screen wait --still 1.5 --timeout 60";
    qemu.qmpsh(&["--log", log.path(), "-e", line])
        .assert_status(0)
        .assert_stdout("");
    let count = |name: &str| log.commands().iter().filter(|sent| *sent == name).count();
    assert!(count("screendump") > 2);
    // The pictures share a descriptor.
    assert_eq!((count("add-fd"), count("remove-fd")), (1, 1));
}

#[test]
fn a_wait_for_a_screen_that_always_changes_ends_at_the_limit() {
    // Fills the screen with one character after another, for ever.
    const CODE: [u8; 15] = [
        0xb8, 0x00, 0xb8, // mov ax, 0xb800
        0x8e, 0xc0, // mov es, ax
        0x31, 0xff, // again: xor di, di
        0xb9, 0xd0, 0x07, // mov cx, 2000
        0x40, // inc ax
        0xf3, 0xab, // rep stosw
        0xeb, 0xf6, // jmp again
    ];
    let directory = crate::common::scratch();
    let disk = directory.path().join("disk");
    let mut sectors = vec![0; 1 << 20];
    sectors[..CODE.len()].copy_from_slice(&CODE);
    sectors[510..512].copy_from_slice(&[0x55, 0xaa]);
    write(&disk, sectors).expect("a file of ours");
    let drive = format!("file={},format=raw", text(&disk));
    let qemu = Qemu::with_args(&["-machine", "q35", "-device", "VGA", "-drive", &drive]);
    wait_for("the code", || {
        let registers = qemu.control(":hmp info registers").stdout();
        registers.contains("EIP=00007c").then_some(())
    });
    qemu.qmpsh(&["-e", ":screen wait --still 1 --timeout 3"])
        .assert_fails(4, "the screen has not stood still for 1 s within 3 s");
}
