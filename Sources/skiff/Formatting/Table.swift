/// Columns as Docker lays them out: three blanks between, none narrower than ten.
enum Table {
    static func layOut(_ rows: [[String]], narrowest: Int = 10, gap: Int = 3) -> String {
        let columns = rows.map(\.count).max() ?? 0
        let widths = (0..<columns).map { column in
            max(narrowest, (rows.map { column < $0.count ? width($0[column]) : 0 }.max() ?? 0) + gap)
        }
        return rows.map { row in
            row.enumerated().map { index, cell in
                index == row.count - 1 ? cell : cell + String(repeating: " ", count: max(0, widths[index] - width(cell)))
            }.joined() + "\n"
        }.joined()
    }

    private static func width(_ text: String) -> Int { text.unicodeScalars.count }
}
