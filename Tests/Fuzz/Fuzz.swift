// `swift run -c release Fuzz`: what comes from outside, mutated, through the code that takes it. CONTRIBUTING.md says how to
// go on from a finding.

import ArgumentParser

// Under libFuzzer, main is libFuzzer's.
#if !LIBFUZZER
    @main
#endif
struct Fuzz: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "Fuzz",
        abstract: "Runs mutated packets through the forwarder, or mutated messages through MobileIP.",
        subcommands: [FuzzPackets.self, FuzzMessages.self], defaultSubcommand: FuzzPackets.self)
}
