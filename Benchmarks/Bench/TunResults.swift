// All that the rounds of `Bench tun` showed.

/// Figures by subject, work and round.
struct TunResults {
    /// In the order of their turns.
    let subjects: [TunSubject]
    let works: [TunWork]
    let rounds: Int
    private var figures: [TunSubject: [TunWork: [Int: TunFigure]]] = [:]

    init(_ subjects: [TunSubject], _ works: [TunWork], rounds: Int) {
        (self.subjects, self.works, self.rounds) = (subjects, works, rounds)
    }

    mutating func add(_ new: [TunWork: TunFigure], of subject: TunSubject, round: Int) {
        for (work, figure) in new { figures[subject, default: [:]][work, default: [:]][round] = figure }
    }

    /// Of each round in which it could be done.
    func figures(of subject: TunSubject, _ work: TunWork) -> [TunFigure] {
        Array((figures[subject]?[work] ?? [:]).values)
    }

    /// The middle of what one was of the other in each round, so that a machine whose speed drifts is the same for
    /// both; nil where no round has both.
    func ratio(_ one: TunSubject, to other: TunSubject, _ work: TunWork) -> Double? {
        (1...rounds).compactMap { round -> Double? in
            guard let value = figures[one]?[work]?[round]?.value(of: work),
                let divisor = figures[other]?[work]?[round]?.value(of: work), divisor > 0
            else { return nil }
            return value / divisor
        }.median
    }
}
