import Foundation
import Testing

@Suite("Allocations")
struct AllocationTests {
    private struct Figure: Decodable {
        let direction: String
        let size: Int
        let allocationsPerPacket: Double

        private enum CodingKeys: String, CodingKey {
            case direction, size
            case allocationsPerPacket = "allocations_per_packet"
        }
    }

    @Test("the forwarder allocates nothing, from the first packet on")
    func pipeline() async throws {
        // A figure has three decimals: of so few packets, one allocation shows.
        let output = try await Command.run(
            [ReleaseBuild.path(of: "Bench"), "pipeline", "--json", "--packets", "1000"])
        let figures = try output.split(separator: "\n").map {
            try JSONDecoder().decode(Figure.self, from: Data($0.utf8))
        }
        #expect(Set(figures.map(\.direction)) == ["encapsulate", "decapsulate"])
        for figure in figures { #expect(figure.allocationsPerPacket == 0, "\(figure)") }
    }
}
