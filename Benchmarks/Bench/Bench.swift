// `swift run Bench`: measures the forwarder. Figures are only worth anything from optimised code, so a debug build
// builds and becomes the optimised one first.

import ArgumentParser
import Glibc
import Release

@main
struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "Bench",
        abstract:
            "Measures Mooring: the forwarder alone, through real TUN devices, its control plane, and the home agent.",
        discussion: """
            Examples:
              swift run Bench                               all of it
              swift run Bench pipeline --size 64 --json     one JSON object a line
              swift run Bench tun                           needs root, or a user namespace: see its help
              swift run Bench control --bindings 100000     the same
              swift run Bench registration                  the same
            """,
        version: versionText(of: "Bench"),
        subcommands: [
            All.self, Lpm.self, Pipeline.self, Tun.self, Control.self, CheckpointBench.self,
            Registration.self, Flood.self, Probe.self, Registrants.self,
        ],
        defaultSubcommand: All.self)

    static func main() {
        OptimisedBuild.becomeIfNeeded()
        Self.main(nil)
    }
}

/// Options that all benchmarks share.
struct OutputOptions: ParsableArguments {
    @Flag(name: .long, help: "One JSON object a line.")
    var json = false
}

struct All: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Every benchmark (default).")
    @OptionGroup var output: OutputOptions

    func run() throws {
        try Lpm.parse(output.json ? ["--json"] : []).run()
        try Pipeline.parse(output.json ? ["--json"] : []).run()
        // Not beside others, and shorter: alone it takes most of an hour.
        let short = ["--no-peers", "--far", "mooringd", "--rounds", "3", "--seconds", "2"]
        try Tun.parse(short + (output.json ? ["--json"] : [])).run()
        try Control.parse(output.json ? ["--json"] : []).run()
    }
}
