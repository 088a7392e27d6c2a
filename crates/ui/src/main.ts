import { mount } from "svelte";
import "./app.css";
import Shell from "./shell/Shell.svelte";

const target = document.getElementById("app");
if (target !== null) mount(Shell, { target });
