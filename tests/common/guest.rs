//! Guests that fit into a boot sector.

use std::path::{Path, PathBuf};

/// Sends back each byte that comes in at the first serial port, for ever.
const ECHO: [u8; 31] = [
    0xfa, //             cli                the firmware's timer would read keys, too
    0xba, 0xfd, 0x03, // mov dx, 0x3fd      the line's status
    0xec, //             in al, dx
    0xa8, 0x01, //       test al, 1         a byte has come
    0x74, 0xfb, //       jz -5
    0xba, 0xf8, 0x03, // mov dx, 0x3f8      the data
    0xec, //             in al, dx
    0x88, 0xc4, //       mov ah, al
    0xba, 0xfd, 0x03, // mov dx, 0x3fd
    0xec, //             in al, dx
    0xa8, 0x20, //       test al, 0x20      there is room to send
    0x74, 0xfb, //       jz -5
    0xba, 0xf8, 0x03, // mov dx, 0x3f8
    0x88, 0xe0, //       mov al, ah
    0xee, //             out dx, al
    0xeb, 0xe2, //       jmp to the second
];

/// Writes a disk with the guest that echoes into `directory`; QEMU's options to boot from it, with SeaBIOS
/// talking to the serial port before.
pub fn echo(directory: &Path) -> Vec<String> {
    let mut sector = [0; 512];
    sector[..ECHO.len()].copy_from_slice(&ECHO);
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    let disk: PathBuf = directory.join("echo.img");
    std::fs::write(&disk, sector).expect("a file of ours");
    let drive = format!("file={},format=raw,if=ide", disk.display());
    let options = [
        "-display",
        "none",
        "-nodefaults",
        "-machine",
        "pc,graphics=off",
        "-drive",
        &drive,
    ];
    options.map(str::to_owned).to_vec()
}
