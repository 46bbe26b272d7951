// Questions to the visitor, in a dialog of the browser: it keeps the focus inside, and Escape closes it.
import { html, useEffect, useRef, useState } from "./html.js";

let open = () => {};

/** Shows a dialog with choices [{text, value, kind}] and resolves to the value of one, or to null. */
export const choose = (title, text, choices) => new Promise((resolve) => open({ title, text, choices, resolve }));

/** Asks for a short text and resolves to it, or to null; `problem` says what is wrong with one. */
export const ask = (title, text, { value = "", action, problem = () => "" }) => new Promise((resolve) => open({ title, text, value, action, problem, isText: true, resolve }));

export const confirm = (title, text, action) => choose(title, text, [{ text: action, value: true, kind: "danger" }]);

/** Shows an image in full size. */
export const showImage = (title, address) => new Promise((resolve) => open({ title, address, choices: [], resolve }));

export function Dialogs() {
  const [question, setQuestion] = useState(null);
  const [value, setValue] = useState("");
  const element = useRef(null);
  useEffect(() => {
    open = (asked) => {
      setValue(asked.value ?? "");
      setQuestion(asked);
    };
  }, []);
  useEffect(() => {
    if (!question) return;
    element.current.returnValue = "";
    element.current.showModal();
    element.current.querySelector("input")?.select();
  }, [question]);
  const finish = (result) => {
    question?.resolve(result);
    setQuestion(null);
    element.current.close();
  };
  const wrong = question?.isText ? question.problem(value.trim()) : "";
  const submit = (event) => {
    event.preventDefault();
    if (value.trim() && !wrong) finish(value.trim());
  };
  const closeOutside = ({ target }) => target === element.current && finish(null);
  return html`<dialog ref=${element} aria-labelledby="dialog-title" onClose=${() => question && finish(null)} onClick=${closeOutside}>
    ${question &&
    html`<form class="dialog" onSubmit=${submit}>
      <h2 id="dialog-title">${question.title}</h2>
      ${question.text && html`<p>${question.text}</p>`}
      ${question.address && html`<img class="full" src=${question.address} alt=${question.title} />`}
      ${question.isText &&
      html`<input
          type="text"
          aria-label=${question.title}
          aria-describedby="dialog-problem"
          autocomplete="off"
          autocapitalize="off"
          spellcheck=${false}
          maxlength="64"
          value=${value}
          onInput=${({ target }) => setValue(target.value)}
        />
        <p id="dialog-problem" class="problem" role="status">${value ? wrong : ""}</p>`}
      <div class="choices">
        ${question.choices?.map((choice) => html`<button type="button" class=${choice.kind ?? ""} onClick=${() => finish(choice.value)}>${choice.icon}${choice.text}</button>`)}
        ${question.isText && html`<button class="primary" disabled=${!value.trim() || Boolean(wrong)}>${question.action}</button>`}
        <button type="button" class="plain" onClick=${() => finish(null)}>${question.address ? "Close" : "Cancel"}</button>
      </div>
    </form>`}
  </dialog>`;
}
