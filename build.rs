//! Sets `has_vision_msgs` if the package `vision_msgs` is among those for which r2r generates messages.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(has_vision_msgs)");
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "ros")]
    {
        r2r_common::print_cargo_watches();
        let messages = r2r_common::get_wanted_messages();
        if messages.iter().any(|message| message.module == "vision_msgs") {
            println!("cargo::rustc-cfg=has_vision_msgs");
        }
    }
}
