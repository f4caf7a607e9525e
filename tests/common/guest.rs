//! Guests: some that fit into a boot sector, and a Linux.

use std::path::{Path, PathBuf};

use super::text;

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

/// Asks `login: ` at the first serial port, echoes a line that ends in a line feed, says `welcome`, and asks again.
const LOGIN: [u8; 87] = [
    0xfa, //             cli
    0xfc, //             cld
    0x31, 0xc0, //       xor ax, ax
    0x8e, 0xd8, //       mov ds, ax
    0xbe, 0x43, 0x7c, // mov si, the question
    0xe8, 0x1b, 0x00, // call puts
    0xba, 0xfd, 0x03, // mov dx, 0x3fd      the line's status
    0xec, //             in al, dx
    0xa8, 0x01, //       test al, 1         a byte has come
    0x74, 0xfb, //       jz -5
    0xba, 0xf8, 0x03, // mov dx, 0x3f8      the data
    0xec, //             in al, dx
    0xe8, 0x17, 0x00, // call putc
    0x3c, 0x0a, //       cmp al, 10
    0x75, 0xed, //       jne to `mov dx, 0x3fd`
    0xbe, 0x4b, 0x7c, // mov si, the welcome
    0xe8, 0x02, 0x00, // call puts
    0xeb, 0xdf, //       jmp to `mov si, the question`
    0xac, //             puts: lodsb
    0x84, 0xc0, //       test al, al
    0x74, 0x05, //       jz to the ret
    0xe8, 0x03, 0x00, // call putc
    0xeb, 0xf6, //       jmp puts
    0xc3, //             ret
    0x88, 0xc4, //       putc: mov ah, al
    0xba, 0xfd, 0x03, // mov dx, 0x3fd
    0xec, //             in al, dx
    0xa8, 0x20, //       test al, 0x20      there is room to send
    0x74, 0xfb, //       jz -5
    0xba, 0xf8, 0x03, // mov dx, 0x3f8
    0x88, 0xe0, //       mov al, ah
    0xee, //             out dx, al
    0xc3, //             ret
    b'l', b'o', b'g', b'i', b'n', b':', b' ', 0, //
    b'\r', b'\n', b'w', b'e', b'l', b'c', b'o', b'm', b'e', b'\r', b'\n', 0,
];

/// Writes a disk with the guest that echoes into `directory`; QEMU's options to boot from it, with SeaBIOS
/// talking to the serial port before.
pub fn echo(directory: &Path) -> Vec<String> {
    boot(directory, &ECHO)
}

/// The same for the guest that asks for a login.
pub fn login(directory: &Path) -> Vec<String> {
    boot(directory, &LOGIN)
}

/// QEMU's options for a Linux in which qemu-ga runs, on the port of virtio-serial that leads to `socket`.
pub fn with_agent(socket: &Path) -> Vec<String> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(std::env::home_dir()?.join(".cache")));
    let guest = cache.expect("a home directory").join("qmpsh-tests/guest");
    let file = |name: &str| {
        let path = guest.join(name);
        assert!(
            path.exists(),
            "{} is missing; run tests/setup",
            path.display()
        );
        text(&path).to_owned()
    };
    let (kernel, initrd) = (file("kernel"), file("initrd"));
    let chardev = format!("socket,id=agent,server=on,wait=off,path={}", text(socket));
    let options = [
        ["-machine", "q35"],
        ["-m", "128"],
        ["-kernel", &kernel],
        ["-initrd", &initrd],
        ["-append", "quiet"],
        ["-device", "virtio-serial"],
        ["-chardev", &chardev],
        [
            "-device",
            "virtserialport,chardev=agent,name=org.qemu.guest_agent.0",
        ],
    ];
    options.concat().into_iter().map(str::to_owned).collect()
}

fn boot(directory: &Path, code: &[u8]) -> Vec<String> {
    let mut sector = [0; 512];
    sector[..code.len()].copy_from_slice(code);
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    let disk: PathBuf = directory.join("guest.img");
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
