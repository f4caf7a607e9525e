//! The pictures in README.md: sessions with a real QEMU in a real terminal.
//! `QMPSH_GENERATE=1 cargo test --test all picture::` draws them again.

use std::fmt::Write;
use std::os::unix::fs::symlink;
use std::path::Path;

use vt100::{Cell, Color, Screen};

use crate::common::terminal::{TAB, Terminal};
use crate::common::{Qemu, scratch};
use crate::generated::is_generating;

/// The size of a cell in pixels, and the margin.
const CELL: (u16, u16) = (9, 19);
const MARGIN: u16 = 14;

/// The colours of a dark terminal, by their numbers, and those of text and background.
const COLORS: [&str; 16] = [
    "#484f58", "#ff7b72", "#7ee787", "#e3b341", "#79c0ff", "#d2a8ff", "#76e3ea", "#c9d1d9",
    "#6e7681", "#ffa198", "#9be9a8", "#f2cc60", "#a5d6ff", "#e2c5ff", "#b3f0ff", "#f0f6fc",
];
const TEXT: &str = "#c9d1d9";
const BACKGROUND: &str = "#0d1117";

/// A shell in a directory where `vm.sock` is QEMU's monitor.
fn shell(qemu: &Qemu, home: &Path) -> Terminal {
    symlink(&qemu.socket, home.join("vm.sock")).expect("a directory of ours");
    let mut shell = Terminal::command("sh", home);
    shell.arg("-i");
    shell.env("PS1", "$ ");
    let programs = Path::new(env!("CARGO_BIN_EXE_qmpsh")).parent();
    let programs = programs.expect("a directory").display();
    shell.env("PATH", format!("{programs}:{}", env!("PATH")));
    let terminal = Terminal::run(shell);
    terminal.resize(30, 100);
    terminal.wait_for_text("$");
    terminal
}

/// Compares the picture of the screen with the one that is kept, or writes it.
fn check(terminal: &Terminal, picture: &str) {
    let drawn = terminal.look(draw);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(picture);
    if is_generating() {
        std::fs::write(&file, &drawn).expect("the file can be written");
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(words(&kept), words(&drawn), "{picture}: draw it again");
}

#[test]
fn the_picture_is_of_a_session_as_it_is_today() {
    let qemu = Qemu::with_args(&[
        "-machine",
        "q35",
        "-name",
        "demo",
        "-device",
        "pcie-root-port,id=rp0,chassis=1",
        "-device",
        "pcie-root-port,id=rp1,chassis=2",
    ]);
    let home = scratch();
    let mut terminal = shell(&qemu, home.path());
    terminal.keys("qmpsh vm.sock\r");
    terminal.wait_for_symbol('●');
    for (line, answer) in [
        ("blockdev-add driver=null-co node-name=disk0 size=1G", "{}"),
        (
            "device_add driver=virtio-blk-pci drive=disk0 id=blk0 bus=rp0",
            "{}",
        ),
        ("stop", "STOP"),
        (
            "blockdev-add driver=raw file.driver=file file.filenam=a.img",
            "did you mean `file.filename`?",
        ),
        (
            "query-block | .[] | {qdev, size: .inserted.image.\"virtual-size\"}",
            "1073741824",
        ),
        (":tree block", "disk0"),
        ("cont", "RESUME"),
    ] {
        terminal.enter(line);
        terminal.wait_for_text(answer);
        // The symbol follows the VM a moment later.
        match line {
            "stop" => terminal.wait_for_symbol('‖'),
            "cont" => terminal.wait_for_symbol('●'),
            _ => String::new(),
        };
    }
    terminal.keys("device_del id=");
    terminal.wait_for_text("device_del id=");
    terminal.keys(TAB);
    terminal.wait("the line below the list", |screen| {
        let end = screen.rsplit_once("rp1");
        end.is_some_and(|(_, end)| end.contains("device_del id="))
    });
    check(&terminal, "tests/screens/session.svg");
}

#[test]
fn the_picture_of_single_commands_is_as_they_are_today() {
    let qemu = Qemu::with_args(&["-machine", "q35", "-name", "demo", "-device", "qemu-xhci"]);
    let home = scratch();
    let mut terminal = shell(&qemu, home.path());
    for line in [
        "qmpsh -o raw -j .status vm.sock query-status",
        "qmpsh vm.sock blockdev-add driver=null-co node-name=disk0 size=1G",
        "qmpsh vm.sock device_add driver=usb-storage drive=disk0 id=stick",
        "qmpsh -o table -j 'map({qdev, drv: .inserted.drv})' vm.sock query-block",
        "qmpsh -o raw -j '.[].qdev' vm.sock query-block | sort",
        "qmpsh vm.sock :finish device_del id=stick && echo gone",
        "qmpsh vm.sock block_resize node-nam=disk0 size=2G; echo \"exit status $?\"",
    ] {
        terminal.keys(line);
        terminal.keys("\r");
        terminal.wait("the next prompt", |screen| {
            let after = screen.rsplit_once(line);
            after.is_some_and(|(_, after)| after.ends_with("\n$"))
        });
    }
    check(&terminal, "tests/screens/commands.svg");
}

/// The words of a picture, without what differs from run to run.
fn words(picture: &str) -> Vec<String> {
    let mut text = String::new();
    for part in picture.split('<') {
        text.push_str(part.split_once('>').map_or("", |(_, text)| text));
        text.push(if part.starts_with("/text") { '\n' } else { ' ' });
    }
    text.split_whitespace()
        .filter(|word| !word.starts_with(|first: char| first.is_ascii_digit()))
        .map(str::to_owned)
        .collect()
}

/// The screen as SVG.
fn draw(screen: &Screen) -> String {
    let (rows, columns) = screen.size();
    let used = (0..rows).rev().find(|row| {
        let mut cells = (0..columns).filter_map(|column| screen.cell(*row, column));
        cells.any(|cell| !cell.contents().trim().is_empty())
    });
    let rows = used.map_or(0, |last| last + 1);
    let (width, height) = (columns * CELL.0 + 2 * MARGIN, rows * CELL.1 + 2 * MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         font-family=\"ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace\" font-size=\"15\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{BACKGROUND}\"/>\n"
    );
    for row in 0..rows {
        let y = MARGIN + row * CELL.1 + CELL.1 * 3 / 4;
        let _ = write!(svg, "<text y=\"{y}\" xml:space=\"preserve\">");
        let mut column = 0;
        while let Some(cell) = screen.cell(row, column) {
            let style = style(cell);
            let start = column;
            let mut text = String::new();
            while let Some(cell) = screen.cell(row, column)
                && self::style(cell) == style
            {
                match cell.contents() {
                    "" => text.push(' '),
                    shown => text.push_str(shown),
                }
                column += 1;
            }
            if !text.trim().is_empty() {
                let x = MARGIN + start * CELL.0;
                let length = (column - start) * CELL.0;
                let text = text
                    .replace('&', "&amp;")
                    .replace('<', "&lt;")
                    .replace('>', "&gt;");
                let _ = write!(
                    svg,
                    "<tspan x=\"{x}\" textLength=\"{length}\" {style}>{text}</tspan>"
                );
            }
        }
        svg.push_str("</text>\n");
    }
    svg.push_str("</svg>\n");
    svg
}

fn style(cell: &Cell) -> String {
    let color = match cell.fgcolor() {
        Color::Default => TEXT.to_owned(),
        Color::Idx(number) => COLORS
            .get(usize::from(number))
            .map_or(TEXT, |color| color)
            .to_owned(),
        Color::Rgb(r, g, b) => format!("#{r:02x}{g:02x}{b:02x}"),
    };
    let weight = if cell.bold() {
        " font-weight=\"bold\""
    } else {
        ""
    };
    let opacity = if cell.dim() { " opacity=\"0.55\"" } else { "" };
    format!("fill=\"{color}\"{weight}{opacity}")
}
