// All that the page says, in English and Korean side by side, so that neither can have a word that the other lacks.
//
// A {name} is filled in. In Korean no particle follows one directly: which it would be depends on the word's last sound.

const WORDS = {
  // the page
  skip: ["Skip to the model", "본문으로 건너뛰기"],
  loading: ["Loading the model …", "모델을 불러오는 중 …"],
  model: ["Model", "모델"],
  to_dark: ["Use dark colours", "어두운 색으로 보기"],
  to_light: ["Use light colours", "밝은 색으로 보기"],
  footer: ["The model runs on this server: what you give it is sent nowhere else.", "모델은 이 서버에서 실행됩니다. 입력한 내용은 다른 곳으로 보내지 않습니다."],
  docs: ["All routes of this server", "이 서버의 모든 경로"],
  input: ["Input", "입력"],
  answer: ["Answer", "답"],
  ask: ["Get the answer", "답 구하기"],
  ask_generate: ["Make pictures", "그림 만들기"],
  ask_write: ["Write on", "이어 쓰기"],
  ask_chat: ["Send", "보내기"],
  ask_translate: ["Translate", "번역하기"],
  stop: ["Stop", "멈추기"],
  again: ["Try again", "다시 시도"],
  waiting: ["The answer appears here.", "답이 여기에 나타납니다."],
  working: ["Working on it …", "계산하는 중 …"],
  stopped: ["Stopped.", "멈추었습니다."],
  stale: ["The input has changed since this answer.", "이 답이 나온 뒤에 입력이 바뀌었습니다."],
  yes: ["yes", "예"],
  no: ["no", "아니요"],
  cancel: ["Cancel", "취소"],
  copy: ["Copy", "복사"],
  copied: ["Copied", "복사됨"],
  selected: ["Selected: press Ctrl+C", "선택됨: Ctrl+C를 누르세요"],

  // what a model does
  about_classify: ["Tells {names} from {given}: one of {count} classes.", "입력을 보고 {count}개 클래스 중 하나를 답합니다: {names}."],
  about_labels: ["Tells {names} from {given}: any of {count} labels.", "입력을 보고 {count}개 레이블 가운데 맞는 것을 답합니다: {names}."],
  about_regress: ["Estimates {names} from {given}.", "입력을 보고 값을 추정합니다: {names}."],
  about_cluster: ["Says which group {given} belongs to.", "입력이 어느 그룹에 속하는지 답합니다."],
  about_act: ["Says what to do in a situation, and what each action is worth.", "주어진 상황에서 할 행동과 각 행동의 가치를 답합니다."],
  about_embed: ["Turns a picture into a vector; pictures alike have vectors alike.", "그림을 벡터로 바꿉니다. 비슷한 그림은 벡터도 비슷합니다."],
  about_compress: ["Says a picture in a few numbers and makes it anew from them.", "그림을 몇 개의 수로 줄이고, 그 수에서 그림을 다시 만듭니다."],
  about_denoise: ["Takes the noise out of a picture.", "그림에서 잡음을 없앱니다."],
  about_segment: ["Says what stands where in a picture.", "그림의 어디에 무엇이 있는지 답합니다."],
  about_upscale: ["Makes a picture larger and sharper.", "그림을 더 크고 선명하게 만듭니다."],
  about_generate: ["Makes up new pictures.", "새로운 그림을 만들어 냅니다."],
  about_stream: ["Gives what the network says to a batch of numbers.", "수의 묶음에 대한 신경망의 출력을 보여 줍니다."],
  about_write: ["Writes on from where a text ends.", "글이 끝난 곳에서 이어 씁니다."],
  about_chat: ["Answers in a talk as the pairs did that it learned from. It knows nothing else, and may be wrong.", "학습한 문답처럼 대화합니다. 그 밖의 것은 알지 못하며 틀릴 수 있습니다."],
  about_translate: ["Translates a text.", "글을 번역합니다."],
  about_fill: ["Says which words may stand in the gaps of a text, written as [MASK].", "글의 빈칸 [MASK]에 들어갈 말을 답합니다."],
  about_tag: ["Finds names and the like in a text.", "글에서 이름 같은 것을 찾아냅니다."],
  about_relate: ["Says which words are used like a word, or like a sum of words.", "어떤 낱말이나 낱말의 합과 비슷하게 쓰이는 낱말을 답합니다."],
  given_text: ["a text", "글"],
  given_pair: ["a pair of texts", "글 두 개"],
  given_row: ["a row of {count} columns", "열 {count}개로 된 행"],
  given_picture: ["a picture", "그림"],

  // the key
  key_title: ["This server asks for a key", "이 서버는 키를 요구합니다"],
  key_hint: ["Whoever runs it has given you one. It is kept until this tab is closed, and nowhere else.", "서버 운영자에게서 받은 키를 입력하세요. 이 탭을 닫을 때까지만 기억하며 다른 곳에는 저장하지 않습니다."],
  key: ["Key", "키"],
  key_use: ["Use this key", "이 키 사용"],
  key_wrong: ["The server does not know this key.", "서버가 모르는 키입니다."],
  key_empty: ["Type the key first.", "먼저 키를 입력하세요."],

  // trouble
  trouble_0: ["The server cannot be reached, or it stopped in the middle. Is it still running?", "서버에 연결할 수 없거나 도중에 끊겼습니다. 서버가 실행 중인지 확인하세요."],
  trouble_400: ["The server could not read this.", "서버가 요청을 읽지 못했습니다."],
  trouble_401: ["The server asks for a key.", "서버가 키를 요구합니다."],
  trouble_403: ["The server does not answer this page.", "서버가 이 페이지의 요청을 거절했습니다."],
  trouble_404: ["The server has no such model any more. Load the page again.", "서버에 이 모델이 더 이상 없습니다. 페이지를 새로 고치세요."],
  trouble_408: ["It took too long to reach the server.", "서버에 보내는 데 너무 오래 걸렸습니다."],
  trouble_413: ["This is too large for the server.", "서버가 받기에 너무 큽니다."],
  trouble_415: ["The server does not take this kind of file.", "서버가 받지 않는 종류의 파일입니다."],
  trouble_422: ["This input does not fit the model.", "입력이 이 모델에 맞지 않습니다."],
  trouble_429: ["Too many questions at once.", "한꺼번에 너무 많이 물었습니다."],
  trouble_503: ["The server is busy, or about to stop.", "서버가 바쁘거나 곧 멈춥니다."],
  trouble_after: ["Try again in {seconds} s.", "{seconds}초 뒤에 다시 시도하세요."],
  trouble_other: ["The server has failed ({status}).", "서버에 문제가 생겼습니다({status})."],

  // rows
  one_row: ["One row", "한 행"],
  many_rows: ["Many rows", "여러 행"],
  examples: ["Examples", "예시"],
  example: ["Example {number}", "예시 {number}"],
  more_columns: ["{count} more columns", "열 {count}개 더 보기"],
  range: ["{low} to {high}", "{low} ~ {high}"],
  no_value: ["no value", "값 없음"],
  empty_is: ["no value (taken as {value})", "값 없음({value} 취급)"],
  not_a_number: ["A number is expected here.", "수를 입력해야 합니다."],
  not_a_date: ["A day is expected here.", "날짜를 입력해야 합니다."],
  outside: ["Training only saw {low} to {high}: the answer is a guess.", "학습에서 본 범위는 {low} ~ {high}입니다. 답은 짐작에 가깝습니다."],
  fields_wrong: ["To be corrected: {count}.", "고쳐야 할 칸: {count}개."],
  open_csv: ["Open a CSV", "CSV 열기"],
  rows_of_examples: ["Use the examples", "예시 넣기"],
  csv_label: ["Rows as CSV", "CSV 형식의 행"],
  csv_hint: ["Paste a table here, or drop a file: a line with the columns' names, then a line for each row.", "표를 붙여 넣거나 파일을 끌어다 놓으세요. 첫 줄은 열 이름, 그다음은 한 줄에 한 행입니다."],
  csv_size: ["{rows} rows, {columns} columns", "행 {rows}개, 열 {columns}개"],
  csv_empty: ["Paste some rows first.", "먼저 행을 붙여 넣으세요."],
  csv_no_rows: ["There is only a line with names; rows are missing.", "이름 줄만 있고 행이 없습니다."],
  csv_missing: ["These columns are missing: {names}", "빠진 열: {names}"],
  csv_many: ["{rows} rows are more than the {most} that the server takes at once.", "행 {rows}개: 서버가 한 번에 받는 {most}개보다 많습니다."],
  row_wrong: ["Row {row}, {field}: {error}", "{row}번째 행, {field}: {error}"],

  // pictures and drawings
  draw: ["Draw", "그리기"],
  canvas: ["Canvas to draw on", "그림판"],
  canvas_hint: ["Draw with the mouse, a pen or a finger. Without one, a picture can be opened instead.", "마우스, 펜, 손가락으로 그리세요. 그릴 수 없으면 그림 파일을 열어도 됩니다."],
  undo: ["Undo", "되돌리기"],
  clear: ["Clear", "지우기"],
  nothing_drawn: ["Draw something first.", "먼저 무언가를 그리세요."],
  picture: ["Picture", "그림"],
  your_picture: ["Your picture", "입력한 그림"],
  drop_here: ["Drop a picture here, paste one, or", "그림을 끌어다 놓거나 붙여 넣거나, 아래에서 고르세요."],
  open_picture: ["Open a picture", "그림 열기"],
  picture_missing: ["Choose a picture first.", "먼저 그림을 고르세요."],
  not_shown: ["This browser cannot show the file; the server may still read it.", "브라우저가 이 파일을 보여 주지 못합니다. 서버는 읽을 수도 있습니다."],
  no_picture: ["A picture is expected; this is {kind}.", "그림 파일이 아닙니다({kind})."],
  file_large: ["The file has {size}; the server takes at most {most}.", "파일 크기 {size}: 서버는 {most}까지 받습니다."],
  camera: ["Camera", "카메라"],
  camera_view: ["What the camera sees", "카메라 화면"],
  take_picture: ["Take the picture", "찍기"],
  camera_insecure: ["The browser gives the camera only to pages of this machine or over https.", "브라우저는 이 컴퓨터의 페이지나 https 페이지에서만 카메라를 허용합니다."],
  camera_refused: ["The camera was not allowed.", "카메라 사용이 허용되지 않았습니다."],
  camera_missing: ["No camera was found.", "카메라를 찾지 못했습니다."],

  // generating, numbers of one's own
  how_many: ["How many", "개수"],
  seed: ["Seed", "시드"],
  another_seed: ["Another", "다른 시드"],
  whole_number: ["A whole number from {low} to {high} is expected.", "{low} ~ {high} 사이의 정수를 입력해야 합니다."],
  numbers: ["Numbers", "수"],
  numbers_hint: ["One row of the batch, as JSON: a number, or lists of numbers.", "묶음의 한 행을 JSON으로 적으세요. 수 하나 또는 수의 목록입니다."],
  not_json: ["This is no JSON yet.", "아직 JSON이 아닙니다."],

  // texts
  one_text: ["One text", "글 하나"],
  characters: ["{count} characters", "{count}자"],
  reads_tokens: ["The model reads up to {count} tokens (words or parts of words) of it.", "모델은 토큰(낱말이나 낱말의 조각)을 {count}개까지 읽습니다."],
  text_long: ["The text is too long: at most {most} characters.", "글이 너무 깁니다. 최대 {most}자입니다."],
  text_missing: ["Type a text first.", "먼저 글을 입력하세요."],
  type_text: ["Type or paste a text. Ctrl+Enter asks.", "글을 입력하거나 붙여 넣으세요. Ctrl+Enter로 보냅니다."],
  type_fill: ["The capital of France is [MASK].", "프랑스의 수도는 [MASK]이다."],
  type_relate: ["king - man + woman", "왕 - 남자 + 여자"],
  type_prompt: ["The beginning of a text; empty: the model begins by itself.", "글의 첫머리를 적으세요. 비우면 모델이 처음부터 씁니다."],
  type_chat: ["Say something. Enter sends, Shift+Enter begins a new line.", "말을 걸어 보세요. Enter로 보내고 Shift+Enter로 줄을 바꿉니다."],
  prompt: ["Beginning", "첫머리"],
  your_words: ["You say", "내 말"],
  you: ["You", "나"],
  new_talk: ["New talk", "새 대화"],
  how_it_writes: ["How it writes", "쓰는 방식"],
  tokens: ["Length", "길이"],
  hint_tokens: ["Tokens, at most", "최대 토큰 수"],
  temperature: ["Temperature", "온도"],
  hint_temperature: ["Low: likely words; 0: always the likeliest", "낮으면 흔한 말, 0이면 늘 가장 그럴듯한 말"],
  top_k: ["Top-k", "Top-k"],
  hint_top_k: ["Only the k likeliest; 0: all", "가장 그럴듯한 k개만, 0이면 전부"],
  top_p: ["Top-p", "Top-p"],
  hint_top_p: ["Only the likeliest that are together so likely", "확률의 합이 이만큼 되는 말만"],
  hint_seed: ["The same one writes the same again", "같은 시드는 같은 글을 씁니다"],
  number_between: ["A number from {low} to {high} is expected.", "{low} ~ {high} 사이의 수를 입력해야 합니다."],
  nothing_written: ["Nothing was written: the text ends here.", "쓴 것이 없습니다. 글이 여기서 끝납니다."],
  score: ["Log probability, by length: {value}", "길이로 나눈 로그 확률: {value}"],
  gap: ["Gap {number}", "빈칸 {number}"],
  no_names: ["Nothing was found.", "찾은 것이 없습니다."],
  near_words: ["Words near it, by cosine", "가까운 낱말(코사인)"],
  which_words: ["Which words decided?", "어떤 말이 결정했나?"],
  words_for: ["What each word adds to {of}: how far the answer falls without it", "각 낱말이 {of} 쪽에 더하는 정도: 그 낱말을 빼면 답이 얼마나 낮아지는가"],
  words_ready: ["The words that decided are shown.", "판단의 근거가 된 말이 표시되었습니다."],
  speaks_for: ["speaks for it", "찬성하는 말"],
  speaks_against: ["speaks against it", "반대하는 말"],

  // answers
  sure: ["{percent} likely", "확률 {percent}"],
  spoken_class: ["{target}: {label}, {percent} likely", "{target}: {label}, 확률 {percent}"],
  no_label: ["none of the labels", "맞는 레이블 없음"],
  rest_of_classes: ["{count} more, together {percent}", "나머지 {count}개, 합계 {percent}"],
  rest: ["{count} more", "{count}개 더 보기"],
  disagreement: ["The networks of this ensemble differ by {value}.", "앙상블의 신경망들이 서로 {value}만큼 다릅니다."],
  interval: ["9 times in 10 between {low} and {high}", "열에 아홉은 {low} ~ {high}"],
  interval_read: ["{value}, with nine chances in ten between {low} and {high}", "{value}, 90 % 구간 {low} ~ {high}"],
  belongs_to: ["Belongs to", "속한 그룹"],
  group: ["Group {number}", "그룹 {number}"],
  group_title: ["Group", "그룹"],
  does: ["Action", "행동"],
  worth: ["What each action is worth: the rewards to come that it expects", "각 행동의 가치: 앞으로 기대되는 보상"],
  vector: ["Vector", "벡터"],
  of_numbers: ["{count} numbers", "수 {count}개"],
  vector_read: ["A vector of {count} numbers", "수 {count}개로 된 벡터"],
  copy_numbers: ["Copy the numbers", "수 복사"],
  output: ["Output", "출력"],
  answered: ["Answered.", "답이 나왔습니다."],
  picture_ready: ["The picture is ready.", "그림이 준비되었습니다."],
  pictures_ready: ["{count} pictures are ready.", "그림 {count}개가 준비되었습니다."],
  cleaned: ["Without the noise", "잡음을 없앤 그림"],
  enlarged: ["{factor} times as large", "{factor}배 크게"],
  before: ["Before", "전"],
  after: ["After", "후"],
  compressed: ["Made anew from its code", "코드에서 다시 만든 그림"],
  code_of: ["The code: {count} numbers", "코드: 수 {count}개"],
  overlay: ["Overlay", "겹쳐 보기"],
  mask: ["Mask", "마스크"],
  original: ["Picture", "원본"],
  shown_as: ["Shown as", "보기"],
  mostly: ["Mostly {name}: {percent}", "가장 넓은 것: {name}, {percent}"],
  made_number: ["Made-up picture {number}", "만든 그림 {number}"],
  save_picture: ["Save the picture", "그림 저장"],
  what_decided: ["What decided?", "무엇을 보고 정했나?"],
  decided_for: ["Where it looked for {of}", "판단의 근거: {of}"],
  decided_ready: ["The places that decided are shown.", "판단의 근거가 표시되었습니다."],

  // answers to many rows
  answers: ["Answers", "답"],
  rows_answered: ["{count} rows answered", "{count}개 행에 대한 답"],
  rows_answered_but: ["{count} rows answered, {failed} could not be", "{count}개 행에 대한 답, {failed}개는 답하지 못함"],
  rows_shown: ["The first {count} rows are shown; the file has all.", "처음 {count}개 행만 보입니다. 파일에는 모두 들어 있습니다."],
  save_table: ["Save as CSV", "CSV로 저장"],
  probability: ["probability", "확률"],
  low_of: ["{name}, low", "{name} 하한"],
  high_of: ["{name}, high", "{name} 상한"],
  remarks: ["remarks", "참고"],

  // the card and the code
  card: ["About this model", "이 모델에 대하여"],
  verdict: ["Verdict", "판정"],
  metric: ["Metric", "지표"],
  value: ["Value", "값"],
  interval_95: ["95 % interval", "95 % 신뢰구간"],
  measured: ["How good it is", "성능"],
  measured_on: ["How good it is: {part}", "성능: {part}"],
  card_name: ["Name", "이름"],
  card_task: ["Task", "과제"],
  card_system: ["System", "시스템"],
  card_data: ["Data", "데이터"],
  card_made: ["Trained", "학습한 때"],
  card_run: ["Run", "실행"],
  card_runtime: ["Runs on", "실행 엔진"],
  code: ["Call it from code", "코드에서 부르기"],
  code_hint: ["These lines send what stands in the input now.", "지금 입력된 내용을 그대로 보내는 코드입니다."],
  code_key: ["These lines send what stands in the input now; they read the key from GIPI_KEY in the environment.", "지금 입력된 내용을 그대로 보내는 코드입니다. 키는 환경 변수 GIPI_KEY에서 읽습니다."],
  save_input: ["Save {name}, which the lines read", "코드가 읽는 {name} 저장"],

  // metrics
  metric_accuracy: ["Accuracy", "정확도"],
  metric_balanced_accuracy: ["Balanced accuracy", "균형 정확도"],
  metric_f1_macro: ["F1, mean of classes", "F1 (클래스 평균)"],
  metric_f1_micro: ["F1, all labels", "F1 (전체 레이블)"],
  metric_auc: ["Area under the ROC curve", "AUC"],
  metric_log_loss: ["Log loss", "로그 손실"],
  metric_brier: ["Brier score", "브라이어 점수"],
  metric_calibration_error: ["Calibration error", "보정 오차"],
  metric_rmse: ["Root mean squared error", "평균 제곱근 오차"],
  metric_mae: ["Mean absolute error", "평균 절대 오차"],
  metric_r2: ["R²", "결정 계수 R²"],
  metric_coverage: ["Interval coverage", "구간 포함률"],
  metric_interval_width: ["Interval width", "구간 너비"],
  metric_nll: ["Negative log likelihood", "음의 로그 가능도"],
  metric_mean_iou: ["Mean IoU", "평균 IoU"],
  metric_pixel_accuracy: ["Pixel accuracy", "픽셀 정확도"],
  metric_psnr: ["PSNR (dB)", "PSNR(dB)"],
  metric_ssim: ["SSIM", "SSIM"],
};

export const LANGUAGES = ["en", "ko"];
let spoken = "en";

/** The language in use: "en" or "ko". */
export function language() {
  return spoken;
}

/** Speak another language from now on; what stands on the page already is built anew by whoever calls this. */
export function speak(name) {
  spoken = LANGUAGES.includes(name) ? name : "en";
  document.documentElement.lang = spoken;
}

/** A sentence in the language in use, its {names} filled in; of a key that there is not, what stands for it. */
export function say(key, values = {}, instead = key) {
  const pair = Object.hasOwn(WORDS, key) ? WORDS[key] : null;
  if (!pair) return instead;
  return pair[LANGUAGES.indexOf(spoken)].replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));
}

/** A metric's name for a person; one that is not known here stays as it is. */
export function metricName(name) {
  return say(`metric_${name}`, {}, name.replaceAll("_", " "));
}

/** For the test that both languages say the same. */
export function allWords() {
  return WORDS;
}
