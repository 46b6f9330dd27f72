// How many threads forward.

import ArgumentParser
import Bindings
import Foundation
import Wire

/// A number of workers, as it is asked for.
enum WorkerCount: Equatable, CustomStringConvertible {
    /// 1 to `Steering.queueLimit`.
    case exactly(Int)
    /// One for each processor that the daemon may run on, as far as there may be so many.
    case automatic

    static let limits = 1...Steering.queueLimit

    /// The number on this machine.
    var resolved: Int {
        switch self {
        case .exactly(let count): count
        case .automatic: Self.ofProcessors
        }
    }

    /// Asked once: the number must not change while the daemon runs, though what it may run on can.
    private static let ofProcessors = min(max(ProcessInfo.processInfo.activeProcessorCount, 1), Steering.queueLimit)

    var description: String {
        switch self {
        case .exactly(let count): "\(count)"
        case .automatic: "auto"
        }
    }
}

extension WorkerCount: ExpressibleByArgument {
    /// A number, or "auto".
    init?(argument: String) {
        if argument == "auto" {
            self = .automatic
        } else if let count = Int(argument), Self.limits.contains(count) {
            self = .exactly(count)
        } else {
            return nil
        }
    }
}

extension WorkerCount {
    /// A number or "auto" from the configuration file.
    init(_ value: StrictJSON.Value) throws(StrictJSON.Failure) {
        if let text = try? value.string() {
            guard text == "auto" else { throw value.failure("is neither \"auto\" nor a number from 1 to 16") }
            self = .automatic
        } else {
            self = .exactly(try value.integer(in: Self.limits))
        }
    }
}
