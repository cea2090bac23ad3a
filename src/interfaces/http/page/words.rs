//! The words of the page in Japanese, by their English. A word that is missing here is caught by a test.
//!
//! What the board itself says (why a task waits, refusals) is English in both languages.

/// Returns the Japanese for an English word or sentence of the page.
pub(super) fn japanese(english: &str) -> Option<&'static str> {
    WORDS
        .iter()
        .find(|(known, _)| *known == english)
        .map(|(_, japanese)| *japanese)
}

const WORDS: &[(&str, &str)] = &[
    // Pages.
    ("Now", "現在"),
    ("Board", "ボード"),
    ("Approvals", "承認"),
    ("Agents and processes", "エージェントとプロセス"),
    ("Plans", "計画"),
    ("Nights", "夜間実行"),
    ("Gates", "ゲート"),
    ("Logs", "ログ"),
    ("Costs", "費用"),
    ("Settings", "設定"),
    ("Requirement", "要件"),
    ("Pages", "ページ"),
    // A plan before its tasks are made.
    ("All plans", "すべての計画"),
    (
        "task is made when you say so.",
        "件のタスクが承認後に作られます。",
    ),
    (
        "tasks are made when you say so.",
        "件のタスクが承認後に作られます。",
    ),
    ("Plan", "計画"),
    ("Task", "タスク"),
    ("Change them first", "先に変更する"),
    (
        "Change the tasks before they are made",
        "作成前にタスクを変更する",
    ),
    (
        "What waits for a task that is left out waits for what that one waits for.",
        "外したタスクを待つものは、そのタスクが待っていたものを待ちます。",
    ),
    ("Save and make these tasks", "保存してこれらのタスクを作る"),
    ("Leave this task out", "このタスクを外す"),
    (
        "What to do, and how one sees that it is done",
        "何をするか、完了をどう確かめるか",
    ),
    (
        "Files it may touch, one pattern a line",
        "触れてよいファイル(1 行に 1 パターン)",
    ),
    ("After tasks (numbers)", "先に終えるタスク(番号)"),
    (
        "It is made on another machine: what its programs print comes here when they have ended.",
        "別のマシンで実行中です。プログラムの出力は終了後にここに表示されます。",
    ),
    (
        "It is over, and nothing that its programs printed is here.",
        "終了しました。プログラムの出力はここにはありません。",
    ),
    (
        "It is tried once more; the first try failed:",
        "もう一度試しています。最初の試みが失敗した理由:",
    ),
    // What brings something to an empty page.
    (
        "`tos night start LIST` and `tos task run LIST` hand a list over; it is seen here while it runs and afterwards.",
        "`tos night start LIST` と `tos task run LIST` がリストを渡します。実行中も終了後もここで見られます。",
    ),
    (
        "What the policy leaves to a person while an agent works is asked here; nothing waits for you now.",
        "エージェントの作業中にポリシーが人に委ねたことは、ここで尋ねられます。今は何も待っていません。",
    ),
    (
        "`tos plan run FILE` runs a plan of commands; its runs are seen here.",
        "`tos plan run FILE` がコマンドの計画を実行します。その実行はここで見られます。",
    ),
    ("The board is empty.", "ボードは空です。"),
    (
        "A process writes here once it was started; the page of processes starts them.",
        "プロセスは起動されるとここに書き込みます。プロセスのページで起動できます。",
    ),
    // The frame.
    ("Skip to content", "本文へ"),
    ("Sign out", "サインアウト"),
    ("Sign in", "サインイン"),
    ("Reload", "再読み込み"),
    (
        "This page is as of now; reload it to see what changed.",
        "表示は現時点のものです。変化を見るには再読み込みしてください。",
    ),
    ("Nothing.", "ありません。"),
    ("This was not done", "実行されませんでした"),
    ("Code", "コード"),
    (
        "Run `tos open` on the machine of the service: it opens this page signed in, or shows a code for another device.",
        "サービスのマシンで `tos open` を実行してください。サインイン済みでこのページが開くか、別の端末用のコードが表示されます。",
    ),
    (
        "This code is wrong, used or too old. `tos open` makes a new one.",
        "コードが誤っているか、使用済みか、期限切れです。`tos open` で新しいコードを作れます。",
    ),
    // Statuses and reasons.
    ("queued", "待機中"),
    ("running", "実行中"),
    ("done", "完了"),
    ("failed", "失敗"),
    ("blocked", "保留"),
    ("cancelled", "取り消し"),
    ("awaiting_judge", "判定待ち"),
    ("quota_wait", "利用枠待ち"),
    ("needs_rework", "手直しが必要"),
    ("issue_linking", "リンク待ち"),
    ("success", "成功"),
    ("idle", "停止中"),
    ("starting", "起動中"),
    ("stopping", "終了処理中"),
    ("completed", "終了"),
    ("stopped", "停止済み"),
    ("approve", "承認"),
    ("request_changes", "修正依頼"),
    ("conflict", "競合"),
    ("no_verdict", "判定なし"),
    ("worker", "実装担当"),
    ("tester", "テスト担当"),
    ("docser", "文書担当"),
    ("at work", "作業中"),
    // Who changes something.
    ("dispatcher", "ディスパッチャ"),
    ("cycle_manager", "サイクル管理"),
    ("judge", "判定者"),
    ("merge_queue", "マージ待ち行列"),
    ("agent", "エージェント"),
    ("other_task", "別のタスク"),
    ("supervisor", "プロセス監視"),
    ("person", "人"),
    ("linker", "リンク処理"),
    ("nobody", "なし"),
    // Now.
    ("Needs you", "あなたの対応が必要"),
    ("At work", "作業中"),
    ("Changed last", "最近の変化"),
    ("wait for a judge", "判定待ち"),
    ("used today", "本日の費用"),
    ("Nothing new is started:", "新しい作業は開始されません:"),
    (
        "Nothing is running, so nothing is worked on.",
        "何も動いていないため、作業は進みません。",
    ),
    ("Stop all", "すべて停止"),
    ("Start everything", "すべて開始"),
    ("Resume", "再開"),
    ("Hold", "新規開始を止める"),
    ("ended with a fault:", "異常終了:"),
    ("Start", "開始"),
    ("Stop", "停止"),
    ("All of them", "すべて表示"),
    ("examines it", "が判定中"),
    ("There are no tasks yet.", "タスクはまだありません。"),
    ("Add a task", "タスクを追加"),
    // Costs.
    ("This hour", "この1時間"),
    ("Today", "今日"),
    ("In all", "合計"),
    ("Calls", "呼び出し"),
    ("call", "回の呼び出し"),
    ("calls", "回の呼び出し"),
    ("Tokens", "トークン"),
    ("Dollars", "ドル"),
    ("unknown", "不明"),
    ("cost unknown", "費用不明"),
    ("At most for one task", "1タスクの上限"),
    ("The dearest tasks", "費用の大きいタスク"),
    // Board and task.
    ("The whole board", "ボード全体"),
    ("Older ones", "古いもの"),
    ("goes on in", "再開まで"),
    ("resolved by:", "対応:"),
    (
        "Nothing beyond its title.",
        "題名のほかに指示はありません。",
    ),
    ("Title", "題名"),
    ("What the agent is asked to do", "エージェントへの依頼"),
    ("Test command", "テストコマンド"),
    (
        "Words without a shell; empty = the usual one.",
        "シェルを介さない単語の並び。空なら既定のもの。",
    ),
    ("What it may touch", "変更してよい範囲"),
    (
        "Patterns, one a line, src/** and the like; empty = anything.",
        "src/** などのパターンを1行に1つ。空なら制限なし。",
    ),
    ("Waits for", "先に必要なタスク"),
    (
        "Numbers of tasks, separated by spaces.",
        "タスク番号を空白区切りで。",
    ),
    ("Who does it", "担当"),
    ("Priority", "優先度"),
    ("Higher goes first.", "大きいほど先。"),
    ("Add", "追加"),
    ("Why it is there", "この状態の理由"),
    ("Log", "ログ"),
    ("Change", "変更"),
    ("Attempts and judgements", "試行と判定"),
    ("What is asked for", "依頼内容"),
    ("failed so far:", "これまでの失敗:"),
    ("retries left:", "残りの再試行:"),
    ("since", "開始"),
    ("merged as", "マージ済み"),
    ("For the next attempt", "次の試行への注意"),
    ("Back to the queue", "待機列へ戻す"),
    ("Give up", "取りやめる"),
    ("more line", "行が続きます"),
    ("more lines", "行が続きます"),
    ("Made by", "作成者"),
    ("Made", "作成"),
    // Approvals.
    ("Waiting for your answer", "回答待ち"),
    ("Answered", "回答済み"),
    ("asked", "質問"),
    ("Allow", "許可"),
    ("Deny", "拒否"),
    ("allowed", "許可"),
    ("denied", "拒否"),
    ("withdrawn", "取り下げ"),
    // Agents and processes.
    ("Kept running:", "常時稼働:"),
    ("yes", "はい"),
    ("no", "いいえ"),
    ("by a person", "人による"),
    ("by itself", "自動"),
    ("Keep running", "常時稼働にする"),
    ("Do not keep running", "常時稼働をやめる"),
    ("Process", "プロセス"),
    ("State", "状態"),
    ("Works on", "作業"),
    ("Restarts", "再起動"),
    // Workers on other machines.
    ("Workers", "ワーカー"),
    ("Worker", "ワーカー"),
    (
        "No worker is there; `tos worker --nats URL` starts one.",
        "ワーカーがいません。`tos worker --nats URL` で起動します。",
    ),
    ("Slots in use", "使用中の枠"),
    ("Orders that wait", "待機中の依頼"),
    ("Orders under way", "実行中の依頼"),
    ("Given out again", "再配布"),
    ("Roles", "役割"),
    ("Labels", "ラベル"),
    ("Slots", "枠"),
    ("Version", "バージョン"),
    ("Sandbox", "サンドボックス"),
    ("no work", "割り当てなし"),
    ("there", "稼働中"),
    ("lost", "応答なし"),
    ("Do", "操作"),
    ("waits for work", "作業待ち"),
    ("Remove everything", "すべて削除"),
    (
        "Removes all tasks, runs, judgements and cycles. It cannot be undone; stopping everything keeps them.",
        "すべてのタスク、実行、判定、サイクルを削除します。元に戻せません。すべて停止なら残ります。",
    ),
    (
        "Write \"remove\" to confirm",
        "確認のため \"remove\" と入力",
    ),
    // Plans.
    ("Requirements", "要件"),
    ("Runs of plans", "計画の実行"),
    ("Write a requirement", "要件を書く"),
    ("planning", "計画中"),
    ("planned", "計画済み"),
    ("waits for your answer", "回答待ち"),
    ("declined", "却下"),
    ("nothing left", "残りなし"),
    ("planned again", "再計画"),
    ("after", "先に必要"),
    ("is there already:", "既にあります:"),
    ("Make these tasks", "これらのタスクを作成"),
    ("Decline", "却下する"),
    ("Save and show the plan first", "保存して計画を先に確認"),
    ("denied by itself", "自動で拒否"),
    ("Cancel this run", "この実行を中止"),
    ("its programs are being ended", "プログラムを終了中"),
    ("What the next attempt is told", "次の試行に伝えること"),
    ("Planning", "計画"),
    ("Graph", "グラフ"),
    ("The text", "本文"),
    // Gates.
    ("Level", "レベル"),
    ("works without a person", "人なしで作業できます"),
    ("a person allows each task", "タスクごとに人の許可が必要"),
    ("Locked:", "ロック中:"),
    ("Led back from level", "次のレベルから戻されました:"),
    ("Suspended:", "停止中:"),
    (
        "A person overrides the gates for another",
        "人がゲートを一時的に解除しています。残り",
    ),
    ("Without a person", "人なしの作業"),
    ("yes, at a time up to", "可。一度に最長"),
    ("When a task fails", "タスクが失敗したとき"),
    ("How agents are confined", "エージェントの隔離"),
    ("Checked before a start", "開始前の確認"),
    ("Records in the ledger", "台帳の記録数"),
    (
        "No level is above this one.",
        "これより上のレベルはありません。",
    ),
    ("What the next level asks for:", "次のレベルの条件:"),
    ("conditions are met.", "の条件を満たしています。"),
    (
        "A person at the terminal enters the level:",
        "端末の人がこのレベルに上げます:",
    ),
    ("Condition", "条件"),
    ("Counted", "実績"),
    ("What counted or is missing", "数えたもの・足りないもの"),
    ("met", "達成"),
    ("open", "未達"),
    ("One by one", "内訳"),
    (
        "The way to work without a person",
        "人なしで作業できるまでの道のり",
    ),
    ("Further ladders of levels", "その他のレベル"),
    ("everything stops", "すべて停止"),
    (
        "it is tried once more, then everything stops",
        "もう一度試し、だめならすべて停止",
    ),
    (
        "it is tried once more, then what depends on it is skipped",
        "もう一度試し、だめなら依存するタスクを省略",
    ),
    ("a work tree of its own", "専用の作業ツリー"),
    ("a minimal environment", "最小限の環境変数"),
    ("a home of its own", "専用のホーム"),
    ("all its processes can be ended", "全プロセスを終了可能"),
    ("files confined", "ファイルの隔離"),
    ("network by a list", "許可リストの通信のみ"),
    ("memory limited", "メモリの制限"),
    ("number of processes limited", "プロセス数の制限"),
    ("disk space limited", "ディスクの制限"),
    ("the machine is well", "マシンが正常"),
    ("the machine stays awake", "マシンがスリープしない"),
    ("the checkout is clean", "チェックアウトに変更がない"),
    ("the ledger is whole", "台帳が完全"),
    (
        "the sandbox has proved itself",
        "サンドボックスの自己検査に合格",
    ),
    ("phase", "レベル"),
    ("hold", "停止"),
    ("unhold", "停止解除"),
    ("unlock", "ロック解除"),
    ("override", "一時解除"),
    ("void", "無効化"),
    ("gap", "台帳の断絶"),
    // Logs.
    ("all", "すべて"),
    ("Show", "表示"),
    ("Clear all logs", "ログをすべて消去"),
    // Settings and requirement.
    ("From", "出所"),
    ("Counts after a restart of", "反映に再起動が必要"),
    (
        "Saved. To count, these have to be started again:",
        "保存しました。反映には次の再起動が必要です:",
    ),
    ("Save", "保存"),
    (
        "set; write a new one to change it",
        "設定済み。変更するには新しい値を入力",
    ),
    ("not set", "未設定"),
    (
        "Write what you want in the end. The planner turns it into tasks with dependencies.",
        "最終的に何が欲しいかを書いてください。プランナーが依存関係のあるタスクに分けます。",
    ),
    ("The planner is at work.", "プランナーが作業中です。"),
    (
        "The planner starts on an empty board only. Tasks that are not done:",
        "プランナーはボードが空のときだけ始まります。未完了のタスク:",
    ),
    ("Save and plan", "保存して計画する"),
    ("for", "経過"),
    ("ends in", "終了まで"),
    ("Nothing further starts:", "これ以上は始まりません:"),
    ("It waits:", "待機中:"),
    (
        "A task failed; a second one in a row stops the session.",
        "タスクが失敗しました。続けてもう一つ失敗するとセッションは止まります。",
    ),
    ("End the session", "セッションを終了"),
    ("ending", "終了中"),
    ("waiting", "待機中"),
    ("skipped", "省略"),
    ("not_run", "未実行"),
];

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests look at the real disk")]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use regex::Regex;

    use super::*;

    #[test]
    fn every_word_of_the_page_is_there_in_japanese() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/interfaces/http/page");
        let said = Regex::new(r#"\.t\(\s*"((?:[^"\\]|\\.)*)""#).unwrap();
        let page = Regex::new(r#"\("/[^"]*", "([^"]*)"\)"#).unwrap();
        let counted = Regex::new(r#"\.counted\([^"]*"([^"]*)", "[^"]*"\)"#).unwrap();
        let many = Regex::new(r#"\.counted\([^"]*"[^"]*", "([^"]*)"\)"#).unwrap();
        let mut missing = BTreeSet::new();
        let mut found = 0;
        for file in fs::read_dir(folder).unwrap() {
            let text = fs::read_to_string(file.unwrap().path()).unwrap();
            let all = [&said, &page, &counted, &many];
            for word in all.iter().flat_map(|one| one.captures_iter(&text)) {
                let word = word[1].replace("\\\"", "\"");
                found += 1;
                if japanese(&word).is_none() {
                    missing.insert(word);
                }
            }
        }
        assert!(found > 90, "{found}");
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn no_word_is_there_twice() {
        let words: BTreeSet<&str> = WORDS.iter().map(|(word, _)| *word).collect();
        assert_eq!(words.len(), WORDS.len());
    }
}
