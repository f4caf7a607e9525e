//! Links the unwinder statically: loading libgcc_s.so.1 just for that takes a tenth of a one-shot command's run
//! time.

use std::env::var;
use std::{fs, io, path::PathBuf};

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    if var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux")
        && var("CARGO_CFG_TARGET_ENV").as_deref() == Ok("gnu")
    {
        // std links with -lgcc_s. The linker finds this script of that name first, and it names the static
        // libraries instead.
        let out = PathBuf::from(var("OUT_DIR").expect("cargo sets it"));
        fs::write(out.join("libgcc_s.so"), "GROUP ( -lgcc_eh -lgcc )\n")?;
        println!("cargo:rustc-link-search=native={}", out.display());
    }
    Ok(())
}
