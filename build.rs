//! Links what unwinding needs into the program: loading libgcc_s.so.1 for that alone takes a tenth of
//! the time that a one-shot command has.

use std::env::var;
use std::{fs, io, path::PathBuf};

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    if var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux")
        && var("CARGO_CFG_TARGET_ENV").as_deref() == Ok("gnu")
    {
        // std asks for -lgcc_s. A linker script of that name, found first, names the static libraries.
        let out = PathBuf::from(var("OUT_DIR").expect("cargo sets it"));
        fs::write(out.join("libgcc_s.so"), "GROUP ( -lgcc_eh -lgcc )\n")?;
        println!("cargo:rustc-link-search=native={}", out.display());
    }
    Ok(())
}
