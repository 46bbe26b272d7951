//! `teach_page`: a web page on which people teach the gesture node, and see what it recognizes.
//!
//! It is a node of its own, and holds no state that matters: all of it is the gesture node's, whose topics and services it passes on.

mod access;
mod api;
mod assets;
mod board;
mod browser_camera;
mod cameras;
mod dataset_api;
mod error;
mod gesture_node;
mod json;
mod page;
mod parameters;
mod picture;
mod recording;
mod server;
mod services;
mod settings;
mod socket;
mod tls;
mod topics;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Parser;
use thumb_gesture::command_line::parse;
use thumb_gesture::node::signals::Signals;
use thumb_gesture::node::{
    NodeContext, NodeExecutor, ParameterOverrides, RosArguments, create_node, run_program,
};

use page::Page;
use settings::{PARAMETERS, Settings};

/// Serve a web page that teaches the gesture node: live view, recording, training, models.
///
/// Parameters, which are set with -p NAME:=VALUE after --ros-args, are in docs/reference.md: page_address, page_port, gesture_node,
/// browser_camera, allowed_hosts, tls, tls_certificate, tls_key.
#[derive(Parser)]
#[command(
    name = env!("CARGO_BIN_NAME"),
    version,
    after_help = "\
Examples:
  teach_page --ros-args -r __ns:=/jetbot
  teach_page --ros-args -r __ns:=/jetbot -p page_address:=0.0.0.0 -p tls:=true"
)]
struct Arguments {
    /// Serve the page's files from this directory instead of those in the program, for work on them
    #[arg(long, value_name = "DIR")]
    assets: Option<PathBuf>,
}

fn main() -> ExitCode {
    run_program(|ros_arguments| {
        let arguments: Arguments = parse(ros_arguments.plain());
        start(arguments, ros_arguments)
    })
}

fn start(arguments: Arguments, ros_arguments: &RosArguments) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(run(arguments, ros_arguments))
}

async fn run(arguments: Arguments, ros_arguments: &RosArguments) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    let mut node = create_node("teach_page")?;
    let context = NodeContext::new(&mut node)?;
    let overrides = ParameterOverrides::new(ros_arguments, &node.fully_qualified_name()?);
    for warning in overrides.warnings(&PARAMETERS) {
        context.warn(&warning);
    }
    let settings = Settings::new(&overrides)?;
    if settings.use_sim_time {
        node.get_time_source().enable_sim_time(&mut node)?;
    }
    let assets = assets::Assets::new(arguments.assets)?;
    let (executor, handle) = NodeExecutor::new();
    let page = Arc::new(Page::new(
        settings,
        context,
        assets,
        &mut node,
        handle,
        ros_arguments,
    )?);
    page.subscribe(&mut node)?;
    let server = server::Server::bind(&page)?;

    let is_ending = Arc::new(AtomicBool::new(false));
    let spinner = std::thread::spawn({
        let is_ending = is_ending.clone();
        move || executor.spin(node, &is_ending)
    });
    let watcher = tokio::spawn(page.clone().watch());
    server.announce(&page);
    let result = tokio::select! {
        result = server.run(&page) => result,
        () = signals.wait() => Ok(()),
    };
    watcher.abort();
    is_ending.store(true, Ordering::Relaxed);
    tokio::task::spawn_blocking(move || spinner.join()).await.ok();
    result
}
